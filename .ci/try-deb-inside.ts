/** The part of .ci/try-deb.ts that runs in the namespaces; its argument is the folder of the chroot. */
import { chmod, copyFile, mkdir } from "node:fs/promises";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listenNotify } from "../test/support/notify-socket.ts";
import { listenEcho } from "../test/support/raw-peer.ts";
import { waitFor } from "../test/support/wait-for.ts";
import { check, keepTalking, runToEnd, tellOutcome } from "./trial.ts";

const [, , chroot = ""] = process.argv;
const at = (path: string): string => join(chroot, path);
const PORT = 8080;

/** Follows what the service tells the manager, as systemd does. */
function followService(): Disposable {
  const notify = listenNotify(at("run/notify"));
  let seen = 0;
  const timer = setInterval(() => {
    for (const line of notify.messages.slice(seen).flat()) {
      if (line.startsWith("MAINPID=")) writeFileSync(at("run/main-pid"), line.slice("MAINPID=".length));
      if (line === "READY=1") writeFileSync(at("run/ready"), "");
    }
    seen = notify.messages.length;
  }, 10);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      notify[Symbol.dispose]();
    },
  };
}

/** Runs a program in the chroot; gives what it said. */
const inside = (...command: readonly string[]) => runToEnd(["chroot", chroot, ...command]);

async function dpkg(...args: readonly string[]): Promise<string> {
  const { code, said } = await inside("dpkg", ...args);
  console.log(`\n$ dpkg ${args.join(" ")}\n${said}`);
  check(`dpkg ${args.join(" ")} ends with 0`, code === 0);
  return said;
}

const readMainPid = (): number => Number(readFileSync(at("run/main-pid"), "utf8"));
const modeOf = (path: string): string => {
  const { mode, uid, gid } = statSync(at(path));
  return `${(mode & 0o7777).toString(8)} ${uid === 0 ? "root" : "penstock"}:${gid === 0 ? "root" : "penstock"}`;
};

async function install(): Promise<void> {
  await dpkg("-i", "/first.deb");
  check("the service runs", existsSync(`/proc/${readMainPid()}`));
  check("it is enabled", existsSync(at("etc/systemd/system/multi-user.target.wants")));
  check("there is a user penstock", (await inside("getent", "passwd", "penstock")).code === 0);
  check("/etc/penstock is 750 root:penstock", modeOf("etc/penstock") === "750 root:penstock");
  check("/var/lib/penstock is 700 penstock:penstock", modeOf("var/lib/penstock") === "700 penstock:penstock");
  check("every file is as it was packed", (await inside("dpkg", "--verify", "penstock")).said === "");
}

/** What the operator does: another configuration, and a reload. */
async function configure(text: string): Promise<void> {
  writeFileSync(at("etc/penstock/proxy.config.json"), text);
  const log = at("run/penstock.log");
  const before = readFileSync(log, "utf8").length;
  process.kill(readMainPid(), "SIGHUP");
  await waitFor(() => readFileSync(log, "utf8").slice(before).includes("Reloaded"), "the reload");
}

async function upgrade(origin: number): Promise<void> {
  const old = readMainPid();
  const tunnel = await keepTalking(PORT, origin);
  await tunnel.untilMore(20);
  const before = tunnel.answered;
  const began = performance.now();
  await dpkg("-i", "/next.deb");
  const during = tunnel.answered - before;
  console.log(`The upgrade took ${((performance.now() - began) / 1000).toFixed(1)} s, with ${during} answers in it.`);
  const main = readMainPid();
  check("another process is the main one", main !== old && existsSync(`/proc/${main}`));
  check("it runs the new file", statSync(`/proc/${main}/exe`).ino === statSync(at("usr/bin/penstock")).ino);
  check("the tunnel was answered during the upgrade", during > 0);
  await waitFor(() => !existsSync(`/proc/${old}`), "the end of the old process");
  await tunnel.untilMore(100);
  check("the same tunnel goes on after the end of the old process", true);
  console.log(`The longest answer took ${tunnel.longestMs} ms.`);
  check("the changed configuration is kept", readFileSync(at("etc/penstock/proxy.config.json"), "utf8") === CONFIG);

  writeFileSync(at("etc/penstock/proxy.config.json"), '{"listen": "nowhere:at:all"}');
  const said = await dpkg("-i", "/next.deb");
  check("a configuration that is not accepted is told", said.includes(`process ${main} did not hand over`));
  check("and the process before goes on", readMainPid() === main);
  await tunnel.untilMore(100);
  check("with the tunnel", true);
  await tunnel.finish();
  writeFileSync(at("etc/penstock/proxy.config.json"), CONFIG);
}

async function removeAndPurge(): Promise<void> {
  const main = readMainPid();
  // dpkg removes folders that are empty.
  writeFileSync(at("var/lib/penstock/state"), "state");
  await dpkg("-r", "penstock");
  check("the service is stopped", !existsSync(`/proc/${main}`));
  check("the executable is gone", !existsSync(at("usr/bin/penstock")));
  check(
    "configuration and state stay",
    existsSync(at("etc/penstock/proxy.config.json")) && existsSync(at("var/lib/penstock/state")),
  );
  await dpkg("-P", "penstock");
  for (const path of ["etc/penstock", "var/lib/penstock", "lib/systemd/system/penstock.service"])
    check(`/${path} is gone`, !existsSync(at(path)));
  check("the user is gone", (await inside("getent", "passwd", "penstock")).code !== 0);
  const { said } = await inside("find", "/etc", "/var/lib/systemd", "/usr", "-name", "*penstock*");
  check(`no file of it is left${said && `: ${said}`}`, said === "");
  check("dpkg has nothing to complain of", (await inside("dpkg", "--audit")).said === "");
}

const CONFIG = JSON.stringify({
  listen: [`127.0.0.1:${PORT}`],
  rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
});

await copyFile(join(import.meta.dir, "debian/systemctl-stand-in"), at("usr/bin/systemctl"));
await chmod(at("usr/bin/systemctl"), 0o755);
await mkdir(at("run/systemd/system"), { recursive: true });
using _service = followService();
await chmod(at("run/notify"), 0o666);
using echo = listenEcho();
await install();
await configure(CONFIG);
await upgrade(echo.port);
await removeAndPurge();
tellOutcome();
