import { join } from "node:path";
import { expectProgram } from "./program.ts";
import { makeFolder } from "./temporary-folder.ts";

/**
 * Gives this network namespace its loopback with addresses that are others'
 * elsewhere, and this mount namespace a hosts file with their names.
 */
export async function nameHosts(
  hosts: Readonly<Record<string, string>>,
  further: readonly string[] = [],
): Promise<AsyncDisposable> {
  const lines = Object.entries(hosts).map(([name, address]) => `${address} ${name}\n`);
  const folder = await makeFolder({ hosts: `127.0.0.1 localhost\n${lines.join("")}` });
  await expectProgram(["ip", "link", "set", "lo", "up"]);
  for (const address of new Set([...Object.values(hosts), ...further]))
    await expectProgram(["ip", "address", "add", `${address}/32`, "dev", "lo"]);
  await expectProgram(["mount", "--bind", join(folder.path, "hosts"), "/etc/hosts"]);
  return folder;
}

/** Sends back what comes to port 443 of an address. */
export function listenEchoAt(hostname: string): Disposable {
  return Bun.listen({
    hostname,
    port: 443,
    allowHalfOpen: true,
    socket: { data: (socket, bytes) => void socket.write(bytes), end: (socket) => void socket.end() },
  });
}
