import { existsSync, readFileSync } from "node:fs";
import { chown } from "node:fs/promises";
import { join } from "node:path";
import { expectProgram, type RunningProgram, startProgram } from "./program.ts";
import { connectRaw } from "./raw-peer.ts";
import { makeFolder, type TemporaryFolder } from "./temporary-folder.ts";
import { reserveClosedPort } from "./unreachable.ts";

/** Another proxy program on a free loopback port, to be Penstock's upstream. */
export interface UpstreamProgram extends AsyncDisposable {
  /** URL without credentials. */
  readonly url: string;
  readonly port: number;
}

/** What an upstream asks for. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

/** Squid, and what it says of the requests that it took. */
export interface SquidProgram extends UpstreamProgram {
  /** User name and target of each request that is over, in order. */
  readUsers(): { readonly user: string; readonly target: string }[];
}

/** Where an upstream listens; a free port of loopback unless it is said. */
export interface UpstreamAddress {
  readonly host: string;
  readonly port: number;
}

async function findAddress(): Promise<UpstreamAddress> {
  return { host: "127.0.0.1", port: await reserveClosedPort() };
}

/** Squid from Debian, with credentials required of everybody and no cache. */
export async function startSquid(
  logins: Login | readonly Login[],
  scheme: "basic" | "digest" = "basic",
  at?: UpstreamAddress,
): Promise<SquidProgram> {
  const folder = await makeFolder();
  const { host, port } = at ?? (await findAddress());
  const known = [logins].flat();
  if (scheme === "digest")
    await folder.write({ users: known.map(({ username, password }) => `${username}:${password}\n`).join("") });
  else {
    await folder.write({ users: "" });
    for (const { username, password } of known)
      await expectProgram(["htpasswd", "-b", "-m", "users", username, password], { cwd: folder.path });
  }
  const helper = { basic: "basic_ncsa_auth", digest: "digest_file_auth" }[scheme];
  await folder.write({
    "squid.conf": [
      `http_port ${host}:${port}`,
      `auth_param ${scheme} program /usr/lib/squid/${helper} ${folder.path}/users`,
      `auth_param ${scheme} realm squid.test`,
      `auth_param ${scheme} children 1 startup=1`,
      "acl known proxy_auth REQUIRED",
      "http_access allow known",
      "http_access deny all",
      "cache deny all",
      // Written at once, and its fields escaped as in a URL.
      "buffered_logs off",
      "logformat seen %#un %ru",
      `access_log stdio:${folder.path}/seen.log logformat=seen`,
      "cache_log stdio:/dev/stderr",
      "pid_filename none",
      `coredump_dir ${folder.path}`,
      "pinger_enable off",
      "shutdown_lifetime 0 seconds",
      "visible_hostname squid.test",
      "",
    ].join("\n"),
  });
  // Started by root it goes on as "proxy", which writes here.
  if (process.getuid?.() === 0) await giveTo("proxy", folder);
  // -N: one process, in the foreground. Its name for shared memory has to be its own, too.
  const squid = startProgram(["squid", "-N", "-n", `t${port}`, "-f", join(folder.path, "squid.conf")]);
  return {
    ...(await announce("http", { host, port }, squid, folder)),
    readUsers() {
      const log = join(folder.path, "seen.log");
      const lines = existsSync(log) ? readFileSync(log, "latin1").trim().split("\n") : [];
      return lines.flatMap((line) => {
        const [user = "", target = ""] = line.split(" ");
        // A connection that ended before a request.
        return user === "-" || target === "" ? [] : { user: decodeURIComponent(user), target };
      });
    },
  };
}

/** tinyproxy from Debian, with Basic credentials required. */
export async function startTinyproxy({ username, password }: Login): Promise<UpstreamProgram> {
  const port = await reserveClosedPort();
  const folder = await makeFolder({
    "tinyproxy.conf": [
      `Port ${port}`,
      "Listen 127.0.0.1",
      "Timeout 60",
      "LogLevel Error",
      `LogFile "/dev/stderr"`,
      "MaxClients 50",
      `BasicAuth ${username} ${password}`,
      "",
    ].join("\n"),
  });
  const tinyproxy = startProgram(["tinyproxy", "-d", "-c", join(folder.path, "tinyproxy.conf")]);
  return announce("http", { host: "127.0.0.1", port }, tinyproxy, folder);
}

/** microsocks from Debian: SOCKS5 with user name and password required, where there is a login. */
export async function startMicrosocks(login: Login | undefined, at?: UpstreamAddress): Promise<UpstreamProgram> {
  const folder = await makeFolder();
  const { host, port } = at ?? (await findAddress());
  const microsocks = startProgram([
    "microsocks",
    ["-i", host, "-p", String(port)],
    login === undefined ? [] : ["-u", login.username, "-P", login.password],
  ]);
  return announce("socks5", { host, port }, microsocks, folder);
}

/** The configuration of danted on a port of loopback, which passes or blocks what it is asked for. */
export async function writeDantedConfig(port: number, verdict: "pass" | "block"): Promise<string> {
  const user = (await expectProgram(["id", "-un"])).trim();
  return [
    "logoutput: stderr",
    "errorlog: stderr",
    `internal: 127.0.0.1 port = ${port}`,
    "external: 127.0.0.1",
    "clientmethod: none",
    "socksmethod: none",
    `user.privileged: ${user}`,
    `user.unprivileged: ${user}`,
    "client pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }",
    `socks ${verdict} { from: 127.0.0.0/8 to: 0.0.0.0/0 }`,
    "",
  ].join("\n");
}

/** Dante's server from Debian: SOCKS5 without credentials, for it knows only accounts of the system. */
export async function startDanted(): Promise<UpstreamProgram> {
  const port = await reserveClosedPort();
  const folder = await makeFolder({ "danted.conf": await writeDantedConfig(port, "pass") });
  const danted = startProgram([
    "danted",
    ["-f", join(folder.path, "danted.conf"), "-p", join(folder.path, "danted.pid"), "-N", "1"],
  ]);
  return announce("socks5", { host: "127.0.0.1", port }, danted, folder);
}

/** Waits until the program serves. What `folder` holds goes with it. */
async function announce(
  scheme: string,
  { host, port }: UpstreamAddress,
  program: RunningProgram,
  folder: TemporaryFolder,
): Promise<UpstreamProgram> {
  await untilServing(port, program, host);
  return {
    url: `${scheme}://${host}:${port}`,
    port,
    async [Symbol.asyncDispose]() {
      // Their own way to end: what they started ends with them.
      program.signal("SIGTERM");
      await program.exited;
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Waits until somebody listens on a port, or the program that should is gone. */
export async function untilServing(port: number, program: RunningProgram, host = "127.0.0.1"): Promise<void> {
  const ended = program.exited.then((code) => {
    throw new Error(`It ended with ${code}: ${program.told.join("\n")}${program.stdout}`);
  });
  const deadline = performance.now() + 60_000;
  for (;;) {
    try {
      using _ = await Promise.race([connectRaw(port, host), ended]);
      // Whoever waits no longer is not told of its end.
      ended.catch(() => {});
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error;
      if (performance.now() > deadline) throw new Error(`Nobody listens on port ${port}`, { cause: error });
    }
    await Bun.sleep(20);
  }
}

async function giveTo(user: string, folder: TemporaryFolder): Promise<void> {
  const id = Number(await expectProgram(["id", "-u", user]));
  await chown(folder.path, id, -1);
}
