import { describe, expect } from "bun:test";
import { findExecutable } from "../support/build-executable.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";
import { openTunnel } from "../support/ask-tunnel.ts";
import { type RunningProgram, startProgram } from "../support/program.ts";
import { needs, python } from "../support/needs.ts";
import { makeFolder } from "../support/temporary-folder.ts";

/** Binds sockets as a service manager does, tells their ports, and becomes the executable. */
const MANAGER = `
import os, socket, sys
hosts, names = sys.argv[1].split(","), sys.argv[2]
sockets = [socket.create_server((host, 0)) for host in hosts]
print("Ports " + " ".join(str(each.getsockname()[1]) for each in sockets), file=sys.stderr, flush=True)
for at, each in enumerate(sockets): os.dup2(each.fileno(), 100 + at)
for at in range(len(sockets)): os.dup2(100 + at, 3 + at)
os.closerange(3 + len(sockets), 200)
os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=names)
config = os.environ["CONFIG"].replace("PORT0", str(sockets[0].getsockname()[1]))
open("proxy.config.json", "w").write(config)
os.execv(sys.argv[3], sys.argv[3:])
`;

async function activate(cwd: string, hosts: string, names: string, config: object): Promise<RunningProgram> {
  const command = [python, "-c", MANAGER, hosts, names, await findExecutable()];
  return startProgram(command, { cwd, env: { CONFIG: JSON.stringify(config).replace('"PORT0"', "PORT0") } });
}

async function readPorts(program: RunningProgram): Promise<number[]> {
  return (await program.untilTold("Ports ")).split(" ").slice(1).map(Number);
}

const rules = [{ to: ["127.0.0.1"], allowPrivate: true }];

const test = needs("python3");

describe("sockets that a service manager passes", () => {
  test("serve the listener with their address, and are kept through a drain that is taken back", async () => {
    using echo = listenEcho();
    await using folder = await makeFolder({});
    await using proxy = await activate(folder.path, "127.0.0.1", "unknown", {
      listen: [{ port: "PORT0" }],
      rules,
      sidecar: { port: 0, token: "x" },
    });
    const [port = 0] = await readPorts(proxy);
    await proxy.untilTold(`Listening on 127.0.0.1:${port}.`);
    using first = await openTunnel(port, `127.0.0.1:${echo.port}`);
    const drain = `${(await proxy.untilTold("Sidecar on ")).slice("Sidecar on ".length, -1)}/drain`;
    const headers = { Authorization: "Bearer x" };
    expect((await fetch(drain, { method: "POST", headers })).status).toBe(202);
    expect((await fetch(drain, { method: "DELETE", headers })).status).toBe(204);
    using second = await openTunnel(port, `127.0.0.1:${echo.port}`);
    for (const client of [first, second]) {
      client.write("served");
      await client.untilText("served");
    }
  });

  test("serve the listener of their name; those that no listener takes are told and closed", async () => {
    using echo = listenEcho();
    await using folder = await makeFolder({});
    await using proxy = await activate(folder.path, "127.0.0.1,127.0.0.1", "edge:other", {
      listen: [{ port: 0, name: "edge" }],
      rules,
    });
    const [edge = 0, other = 0] = await readPorts(proxy);
    await proxy.untilTold(`Listening on 127.0.0.1:${edge}.`);
    using client = await openTunnel(edge, `127.0.0.1:${echo.port}`);
    client.write("served");
    await client.untilText("served");
    expect(proxy.told).toContain(
      `The service manager passed a socket that no listener takes, closed: descriptor 4 ("other"): 127.0.0.1:${other}.`,
    );
    await expect(connectRaw(other)).rejects.toThrow();
  });

  test("never open a listener to others that the configuration has on loopback", async () => {
    await using folder = await makeFolder({});
    await using proxy = await activate(folder.path, "0.0.0.0", "edge", { listen: [{ port: 0, name: "edge" }] });
    expect(await proxy.exited).toBe(1);
    expect(proxy.told.join("\n")).toContain(
      'Cannot use the socket "edge" of the service manager: it listens on 0.0.0.0:',
    );
  });

  test("share their port with no listener around them: the manager's socket would keep clients from it", async () => {
    using echo = listenEcho();
    await using folder = await makeFolder({});
    await using proxy = await activate(folder.path, "127.0.0.1", "unknown", { listen: [{ port: "PORT0" }], rules });
    const [port = 0] = await readPorts(proxy);
    await proxy.untilTold(`Listening on 127.0.0.1:${port}.`);
    await folder.write({ "proxy.config.json": { listen: [{ host: "0.0.0.0", port }], rules, open: true } });
    proxy.signal("SIGHUP");
    await proxy.untilTold(`Cannot listen on 0.0.0.0:${port}: the port is in use.`);
    using client = await openTunnel(port, `127.0.0.1:${echo.port}`);
    client.write("served");
    await client.untilText("served");
  });
});
