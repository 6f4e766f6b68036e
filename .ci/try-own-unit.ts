import { chmod, copyFile, mkdir } from "node:fs/promises";
import { existsSync, readlinkSync, statSync } from "node:fs";
import { waitFor } from "../test/support/wait-for.ts";
import { writeVersion } from "../test/support/next-version.ts";
import type { BootedRoot } from "./booted-root.ts";
import { run as runOutside } from "./package-deb.ts";
import { check, keepTalking } from "./trial.ts";

const CONFIG = "/etc/penstock/proxy.config.json";
const PROGRAM = "/usr/local/bin/penstock";
/** The configuration is for everybody to read, and its secrets are not. */
const VARIABLES = "/etc/penstock/variables";
const NEXT = "9.1.0";

/** What an operator does without the package: `penstock service`, `penstock upgrade`, as the pages say. */
export async function tryOwnUnit(
  machine: BootedRoot,
  { run, echoPort }: { run: (...command: readonly string[]) => Promise<string>; echoPort: number },
): Promise<void> {
  await layFiles(machine);
  await run(PROGRAM, "service", "--config", CONFIG, "--install");
  await Bun.write(
    machine.at("/etc/systemd/system/penstock.service.d/variables.conf"),
    `[Service]\nEnvironmentFile=${VARIABLES}\n`,
  );
  await run("systemctl", "daemon-reload");
  await run("systemctl", "enable", "--now", "penstock");
  const pid = await machine.show("MainPID");
  check("the service is active", (await machine.show("ActiveState")) === "active");
  const { uid } = statSync(machine.at(`/proc/${pid}`));
  check(`its user exists only while it runs (${uid})`, uid >= 61184 && uid <= 65519);
  const state = statSync(machine.at("/var/lib/private/penstock"));
  check("its state is its own", state.uid === uid && (state.mode & 0o777) === 0o700);
  check("the state is used", existsSync(machine.at("/var/lib/private/penstock/usage.db")));
  // Root has the configuration and the variables of the unit.
  const operate = (...args: readonly string[]) => run(PROGRAM, ...args);
  await operate("status");

  const tunnel = await keepTalking(8080, echoPort);
  await tunnel.untilMore(20);
  await operate("upgrade", "--from", "/root/new", "--key", "/root/key.pub");
  const next = await machine.show("MainPID");
  check("systemd follows the new process", next !== pid && next !== "0", `${pid}, then ${next}`);
  check("it runs the new file", readlinkSync(machine.at(`/proc/${next}/exe`)) === PROGRAM);
  check("that is of the next version", (await run(PROGRAM, "version")).startsWith(`penstock ${NEXT} (`));
  await waitFor(() => !existsSync(machine.at(`/proc/${pid}`)), "the end of the old process");
  await tunnel.untilMore(100);
  await operate("upgrade", "--rollback");
  check("a rollback hands over, too", (await machine.show("MainPID")) !== next);
  await tunnel.untilMore(100);
  await tunnel.finish();
  check("the service is active", (await machine.show("ActiveState")) === "active");
  check("it was not restarted", (await machine.show("NRestarts")) === "0");
  await run("systemctl", "disable", "--now", "penstock");
  check("it ended in order", (await machine.show("Result")) === "success", await machine.show("Result"));
}

/** The executable, the next version of it with its signature, and a configuration with a secret. */
async function layFiles(machine: BootedRoot): Promise<void> {
  const home = machine.at("/root");
  await runOutside(["dpkg-deb", "--extract", machine.at("/first.deb"), `${home}/unpacked`]);
  const program = machine.at(PROGRAM);
  await copyFile(`${home}/unpacked/usr/bin/penstock`, program);
  await chmod(program, 0o755);
  await writeVersion(`${home}/new`, NEXT, program);
  await runOutside(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${home}/key`]);
  await runOutside(["ssh-keygen", "-q", "-Y", "sign", "-f", `${home}/key`, "-n", "file", `${home}/new`]);
  await mkdir(machine.at("/etc/penstock"), { recursive: true });
  await Bun.write(machine.at(VARIABLES), "SIDECAR_TOKEN=0123456789abcdef0123456789abcdef\n");
  await chmod(machine.at(VARIABLES), 0o600);
  await Bun.write(
    machine.at(CONFIG),
    JSON.stringify({
      listen: ["127.0.0.1:8080"],
      users: [{ name: "alice", password: "secret" }],
      auth: { exempt: [{ name: "local", from: "127.0.0.0/8" }] },
      rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
      sidecar: { unix: "/run/penstock/sidecar.sock", token: { env: "SIDECAR_TOKEN" } },
    }),
  );
}
