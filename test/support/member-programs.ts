import { chown, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { findExecutable } from "./build-executable.ts";
import { type CommandLine, expectProgram, type RunningProgram, startProgram } from "./program.ts";
import { makeFolder, type TemporaryFolder } from "./temporary-folder.ts";
import { reserveClosedPort } from "./unreachable.ts";
import { untilServing, writeDantedConfig } from "./upstream-programs.ts";

/** How a proxy program is set up: for everybody, with a login (`edge`, `parent`), or to deny every target. */
export type Setup = "open" | "login" | "denies";

/** A proxy program that is a member of a pool. */
export interface MemberKind {
  readonly name: string;
  readonly scheme: "http" | "socks5h";
  readonly setups: readonly Setup[];
  /** Writes what it needs, and gives the command that serves on a port of loopback. */
  prepare(folder: TemporaryFolder, port: number, setup: Setup): Promise<CommandLine>;
}

const squid: MemberKind = {
  name: "Squid",
  scheme: "http",
  setups: ["open", "login", "denies"],
  async prepare(folder, port, setup) {
    const lines = [`http_port 127.0.0.1:${port}`];
    if (setup === "login") {
      await expectProgram(["htpasswd", "-c", "-b", "-m", "users", "edge", "parent"], { cwd: folder.path });
      lines.push(`auth_param basic program /usr/lib/squid/basic_ncsa_auth ${folder.path}/users`);
      lines.push("auth_param basic children 1 startup=1", "acl known proxy_auth REQUIRED", "http_access allow known");
    }
    lines.push(setup === "open" ? "http_access allow all" : "http_access deny all");
    lines.push("cache deny all", "access_log none", "cache_log stdio:/dev/stderr", "pid_filename none");
    lines.push(`coredump_dir ${folder.path}`, "pinger_enable off", "shutdown_lifetime 0 seconds");
    await folder.write({ "squid.conf": [...lines, "visible_hostname squid.test", ""].join("\n") });
    if (process.getuid?.() === 0) await chown(folder.path, Number(await expectProgram(["id", "-u", "proxy"])), -1);
    return ["squid", "-N", "-n", `m${port}`, "-f", join(folder.path, "squid.conf")];
  },
};

const tinyproxy: MemberKind = {
  name: "tinyproxy",
  scheme: "http",
  setups: ["open", "login", "denies"],
  async prepare(folder, port, setup) {
    const lines = [`Port ${port}`, "Listen 127.0.0.1", "Timeout 60", "LogLevel Error", 'LogFile "/dev/stderr"'];
    if (setup === "login") lines.push("BasicAuth edge parent");
    // It allows tunnels to this port only.
    if (setup === "denies") lines.push("ConnectPort 1");
    await folder.write({ "tinyproxy.conf": [...lines, "MaxClients 50", ""].join("\n") });
    return ["tinyproxy", "-d", "-c", join(folder.path, "tinyproxy.conf")];
  },
};

const danted: MemberKind = {
  name: "danted",
  scheme: "socks5h",
  // It knows only the accounts of the system.
  setups: ["open", "denies"],
  async prepare(folder, port, setup) {
    await folder.write({ "danted.conf": await writeDantedConfig(port, setup === "denies" ? "block" : "pass") });
    return ["danted", "-f", join(folder.path, "danted.conf"), "-p", join(folder.path, "danted.pid"), "-N", "1"];
  },
};

const microsocks: MemberKind = {
  name: "microsocks",
  scheme: "socks5h",
  setups: ["open", "login"],
  prepare(_, port, setup) {
    const login = setup === "login" ? ["-u", "edge", "-P", "parent"] : [];
    return Promise.resolve(["microsocks", "-i", "127.0.0.1", "-p", String(port), ...login]);
  },
};

const penstock: MemberKind = {
  name: "Penstock",
  scheme: "http",
  setups: ["open", "login", "denies"],
  async prepare(folder, port, setup) {
    await folder.write({
      "proxy.config.json": {
        listen: [`127.0.0.1:${port}`],
        ...(setup === "login" && { users: [{ name: "edge", password: "parent" }] }),
        rules: [{ to: ["127.0.0.0/8"], ...(setup === "denies" ? { deny: true } : { allowPrivate: true }) }],
        warmUp: "off",
      },
    });
    return [await findExecutable(), "--config", join(folder.path, "proxy.config.json")];
  },
};

export const memberKinds: readonly MemberKind[] = [squid, tinyproxy, danted, microsocks, penstock];

/** A program that runs on one port, and can be killed and started again. */
export class MemberProgram implements AsyncDisposable {
  readonly port: number;
  readonly #folder: TemporaryFolder;
  readonly #command: CommandLine;
  #program: RunningProgram;

  private constructor(port: number, folder: TemporaryFolder, command: CommandLine) {
    this.port = port;
    this.#folder = folder;
    this.#command = command;
    this.#program = startProgram(command, { cwd: folder.path });
  }

  static async start(kind: MemberKind, setup: Setup): Promise<MemberProgram> {
    const port = await reserveClosedPort();
    const folder = await makeFolder();
    const member = new MemberProgram(port, folder, await kind.prepare(folder, port, setup));
    await untilServing(port, member.#program);
    return member;
  }

  /** Sends a signal to it and to all processes that it has started. */
  async signal(name: NodeJS.Signals): Promise<void> {
    for (const pid of await listTree(this.#program.pid)) {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended by itself.
      }
    }
    if (name === "SIGKILL") await this.#program.exited;
  }

  async restart(): Promise<void> {
    this.#program = startProgram(this.#command, { cwd: this.#folder.path });
    await untilServing(this.port, this.#program);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.signal("SIGKILL");
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** A process and all its descendants. */
async function listTree(root: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir("/proc")) {
    if (!/^[0-9]+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "latin1").catch(() => "");
    // After the name, which may contain anything: the state, then the parent.
    parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
  }
  const isBelow = (pid: number | undefined): boolean =>
    pid === root || (pid !== undefined && pid > 1 && isBelow(parents.get(pid)));
  return [...parents.keys()].filter(isBelow);
}
