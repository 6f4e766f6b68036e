/** The part of .ci/try-systemd.ts that runs in the namespaces; its argument is the folder of the root. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { openTunnel } from "../test/support/ask-tunnel.ts";
import { listenEcho } from "../test/support/raw-peer.ts";
import { waitFor } from "../test/support/wait-for.ts";
import { BootedRoot } from "./booted-root.ts";
import { check, keepTalking, tellOutcome } from "./trial.ts";
import { tryOwnUnit } from "./try-own-unit.ts";

const [, , root = ""] = process.argv;
const CONFIG = "/etc/penstock/proxy.config.json";
const RULES = [{ to: ["127.0.0.1"], allowPrivate: true }];
const BROKEN = '{"listen": ["nowhere:at:all"]}';

const machine = await BootedRoot.boot(root, join(dirname(root), "groups", basename(dirname(root))));

async function run(...command: readonly string[]): Promise<string> {
  const { code, said } = await machine.run(...command);
  console.log(`\n$ ${command.join(" ")}\n${said}`);
  check(`${command.join(" ")} ends with 0`, code === 0, code);
  return said;
}

const write = (path: string, text: string) => Bun.write(machine.at(path), text);
const configure = (settings: object) => write(CONFIG, JSON.stringify({ rules: RULES, ...settings }));
const untilState = (wanted: string) =>
  waitFor(async () => (await machine.show("ActiveState")) === wanted, `the unit to be ${wanted}`);
const untilStatus = (part: string) =>
  waitFor(async () => (await machine.show("StatusText")).includes(part), `the status ${part}`);
const readJournal = async (...args: readonly string[]) =>
  (await machine.run("journalctl", "--quiet", "--no-pager", "--output=cat", "--unit=penstock", ...args)).said;

/** What is said after this, in the journal. */
async function markJournal(): Promise<() => Promise<string>> {
  const cursor = /^-- cursor: (.*)$/m.exec((await machine.run("journalctl", "-n0", "--show-cursor")).said)?.[1] ?? "";
  return () => readJournal(`--after-cursor=${cursor}`);
}

async function install(): Promise<void> {
  await run("dpkg", "-i", "/first.deb");
  check("the service is active", (await machine.show("ActiveState")) === "active");
  check("it is enabled", (await machine.run("systemctl", "is-enabled", "penstock")).said === "enabled");
  const status = await run("systemctl", "status", "--no-pager", "penstock");
  check("the status says where it serves", status.includes('Status: "Serving on 127.0.0.1:8080."'));
  check("the journal has where it listens", (await readJournal()).includes("Listening on 127.0.0.1:8080"));
  // A machine may not let systemd raise the limit of open files.
  const warnings = (await readJournal("--priority=warning")).replace(/^This process may open .*$/m, "");
  check("the journal has no other warning", warnings === "", warnings);
}

/** What the unit forbids and allows, as the process has it. */
async function lookAtProcess(): Promise<void> {
  const rated = (await machine.run("systemd-analyze", "security", "--no-pager", "penstock.service")).said;
  const [, exposure = ""] = /exposure level for penstock.service: ([\d.]+)/.exec(rated) ?? [];
  check(`systemd-analyze security says ${exposure}`, Number(exposure) <= 1.6 && exposure !== "");
  const pid = await machine.show("MainPID");
  const status = readFileSync(machine.at(`/proc/${pid}/status`), "utf8");
  const fields = Object.fromEntries(status.split("\n").map((line) => line.split(/:\s*/, 2)));
  check("it may bind low ports", fields["CapEff"] === "0000000000000400", fields["CapEff"]);
  check("it cannot get more", fields["CapBnd"] === "0000000000000400" && fields["NoNewPrivs"] === "1");
  check("its system calls are filtered", fields["Seccomp"] === "2");
  check("it is not root", !fields["Uid"]?.startsWith("0"));
  const readLimit = (path: string) => /^Max open files +\d+ +(\d+) /m.exec(readFileSync(path, "utf8"))?.[1];
  const limit = readLimit(machine.at(`/proc/${pid}/limits`));
  const most = ["1048576", readLimit("/proc/self/limits")];
  check("it may open as many files as the unit or the machine says", most.includes(limit), limit);
  const mounts = readFileSync(machine.at(`/proc/${pid}/mountinfo`), "utf8");
  const isReadOnly = (path: string) => new RegExp(`^\\S+ \\S+ \\S+ \\S+ ${path} ro[, ]`, "m").test(mounts);
  check("the root is read-only for it", isReadOnly("/"));
  const state = statSync(machine.at("/var/lib/penstock"));
  check("its state is its own", (state.mode & 0o7777) === 0o700 && state.uid !== 0);
}

async function reload(): Promise<void> {
  await configure({ listen: ["127.0.0.1:443", "127.0.0.1:80", "127.0.0.1:8080"] });
  await run("systemctl", "reload", "penstock");
  await untilStatus("Serving on 127.0.0.1:443, 127.0.0.1:80");
  check("it is active after the reload", (await machine.show("ActiveState")) === "active");
  using tunnel = await openTunnel(443, `127.0.0.1:${echo.port}`);
  tunnel.write("by a low port");
  await tunnel.untilText("by a low port");
  const journal = await markJournal();
  await write(CONFIG, BROKEN);
  await run("systemctl", "reload", "penstock");
  await untilStatus("The last reload failed: the journal says why.");
  const said = await journal();
  check("the journal says what is wrong", said.includes("proxy.config.json:1:13: listen[0]: "), said);
  check("and the service goes on", (await machine.show("ActiveState")) === "active");
  tunnel.write(" and on");
  await tunnel.untilText(" and on");
}

async function upgrade(): Promise<void> {
  await configure({ listen: ["127.0.0.1:8080"] });
  await run("systemctl", "reload", "penstock");
  const old = await machine.show("MainPID");
  const tunnel = await keepTalking(8080, echo.port);
  await tunnel.untilMore(20);
  const journal = await markJournal();
  await run("dpkg", "-i", "/next.deb");
  const main = await machine.show("MainPID");
  check("systemd follows the new process", main !== old && main !== "0", `${old}, then ${main}`);
  await waitFor(() => !existsSync(machine.at(`/proc/${old}`)), "the end of the old process");
  await tunnel.untilMore(100);
  check("the tunnel goes on after the end of the old process", (await machine.show("MainPID")) === main);
  check("the service is active", (await machine.show("ActiveState")) === "active");
  check("it was not restarted", (await machine.show("NRestarts")) === "0");
  await untilStatus("Serving on");
  console.log(`The longest answer took ${tunnel.longestMs} ms. The journal:\n${await journal()}`);
  await run("systemctl", "reload", "penstock");
  await waitFor(async () => (await journal()).includes("Reloaded"), "a reload of the new process");
  await write(CONFIG, BROKEN);
  const said = await run("dpkg", "-i", "/next.deb");
  check("a configuration that is not accepted is told", said.includes(`process ${main} did not hand over`));
  check("and the process before goes on", (await machine.show("MainPID")) === main);
  await tunnel.untilMore(100);
  await tunnel.finish();
  await configure({ listen: ["127.0.0.1:8080"] });
  await kill("KILL");
}

const restarts = async (): Promise<number> => Number(await machine.show("NRestarts"));

/** Sends the main process a signal that it cannot answer. */
async function kill(signal: string): Promise<void> {
  const [pid, before] = [await machine.show("MainPID"), await restarts()];
  // The shell's own kill: there is no program of that name.
  await run("sh", "-c", `kill -${signal} ${pid}`);
  await waitFor(async () => (await restarts()) > before, "a restart");
  await untilState("active");
  check(`after SIG${signal} another process serves`, (await machine.show("MainPID")) !== pid);
  (await openTunnel(8080, `127.0.0.1:${echo.port}`))[Symbol.dispose]();
}

async function breakIt(): Promise<void> {
  await write(
    "/etc/systemd/system/penstock.service.d/trial.conf",
    "[Service]\nWatchdogSec=2\nTimeoutStopSec=3\nTimeoutAbortSec=1\n",
  );
  await configure({ listen: ["127.0.0.1:8080"], timeouts: { drain: "1m" } });
  await run("systemctl", "daemon-reload");
  await run("systemctl", "restart", "penstock");
  await kill("STOP");
  check("the watchdog is in the journal", (await readJournal()).includes("Watchdog timeout"));
}

async function stop(): Promise<void> {
  const tunnel = await keepTalking(8080, echo.port);
  const began = performance.now();
  await run("systemctl", "stop", "--no-block", "penstock");
  await untilState("deactivating");
  check("the status tells of the drain", (await machine.show("StatusText")).startsWith("Draining: 1 tunnel"));
  // Twice as long as TimeoutStopSec=.
  while (performance.now() - began < 6000) await tunnel.untilMore(20);
  check("the tunnel outlives TimeoutStopSec=", (await machine.show("ActiveState")) === "deactivating");
  await tunnel.finish();
  await untilState("inactive");
  check("it ended in order", (await machine.show("Result")) === "success", await machine.show("Result"));
}

async function startBroken(): Promise<void> {
  await write(CONFIG, BROKEN);
  await run("systemctl", "reset-failed", "penstock");
  const { code } = await machine.run("systemctl", "start", "penstock");
  check("a broken configuration does not start", code !== 0);
  check("and is not tried again", (await machine.show("ActiveState")) === "failed");
  check("nor restarted", (await machine.show("NRestarts")) === "0");
  const status = (await machine.run("systemctl", "status", "--no-pager", "--lines=20", "penstock")).said;
  console.log(`\n$ systemctl status penstock\n${status}`);
  check("the status says why", status.includes("listen[0]: ") && status.includes("status=78/CONFIG"));
}

async function activateBySocket(): Promise<void> {
  await write(
    "/etc/systemd/system/penstock.socket",
    "[Socket]\nListenStream=127.0.0.1:8181\nFileDescriptorName=edge\n\n[Install]\nWantedBy=sockets.target\n",
  );
  await configure({ listen: [{ name: "edge", host: "127.0.0.1", port: 8181 }] });
  await run("systemctl", "daemon-reload");
  await run("systemctl", "reset-failed", "penstock.service");
  await run("systemctl", "start", "penstock.socket");
  check("the service does not run yet", (await machine.show("ActiveState")) !== "active");
  (await openTunnel(8181, `127.0.0.1:${echo.port}`))[Symbol.dispose]();
  check("the first client starts it", (await machine.show("ActiveState")) === "active");
  // A restart while clients come: they wait in the socket.
  const restarted = run("systemctl", "restart", "penstock.service");
  let served = 0;
  for (let isOver = false; !isOver; served += 1) {
    (await openTunnel(8181, `127.0.0.1:${echo.port}`))[Symbol.dispose]();
    isOver = await Promise.race([restarted.then(() => true), Bun.sleep(0).then(() => false)]);
  }
  check(`${served} clients came during a restart, and all were served`, served > 0);
  await run("systemctl", "stop", "penstock.socket", "penstock.service");
  await machine.run("rm", "-r", "/etc/systemd/system/penstock.socket", "/etc/systemd/system/penstock.service.d");
  await run("systemctl", "daemon-reload");
}

async function removeAndPurge(): Promise<void> {
  await configure({ listen: ["127.0.0.1:8080"] });
  await run("systemctl", "start", "penstock");
  await write("/var/lib/penstock/state", "state");
  await run("dpkg", "-r", "penstock");
  check("the service is stopped", (await machine.show("ActiveState")) === "inactive");
  check(
    "configuration and state stay",
    existsSync(machine.at(CONFIG)) && existsSync(machine.at("/var/lib/penstock/state")),
  );
  await run("dpkg", "-i", "/next.deb");
  await untilStatus("Serving on 127.0.0.1:8080");
  check(
    "the package comes back with the configuration that was there",
    readFileSync(machine.at(CONFIG), "utf8").includes("rules"),
  );
  await run("dpkg", "-P", "penstock");
  const { said } = await machine.run("find", "/etc", "/usr", "/var/lib", "/run", "-name", "*penstock*");
  check("no file of it is left", said === "", said);
  check("nor a unit", (await machine.show("LoadState")) === "not-found");
  check("nor a process", (await machine.run("sh", "-c", "grep -lsx penstock /proc/[0-9]*/comm")).said === "");
  const failed = (await machine.run("systemctl", "--failed", "--plain", "--no-legend")).said;
  check("no unit has failed", failed === "", failed);
}

using echo = listenEcho();
try {
  await install();
  await lookAtProcess();
  await reload();
  await upgrade();
  await breakIt();
  await stop();
  await startBroken();
  await activateBySocket();
  await removeAndPurge();
  await tryOwnUnit(machine, { run, echoPort: echo.port });
} catch (error) {
  check(String(error), false);
  console.log((await machine.run("journalctl", "--no-pager", "-n", "60")).said);
} finally {
  machine[Symbol.dispose]();
}
tellOutcome();
