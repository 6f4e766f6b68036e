import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { askInVain, openTunnel } from "../../support/ask-tunnel.ts";
import type { ServingExecutable } from "../../support/executable.ts";
import type { TemporaryFolder } from "../../support/temporary-folder.ts";
import { connectTls } from "../../support/tls-stand.ts";
import { waitFor } from "../../support/wait-for.ts";
import {
  breakFiles,
  type ChangeKind,
  changeVersion,
  type Effect,
  type Facts,
  firstVersion,
  inventPassword,
  nameDenied,
  type Version,
  writeFiles,
} from "./changes.ts";
import type { ClientProcess } from "./client-process.ts";

/** Looks for tunnels in lanes, 100 ms apart. */
const LANE_TRIES = 100;

/** The proxy whose configuration changes, and how it is made to read it. */
export class ChangingProxy implements Disposable {
  readonly #proxy: ServingExecutable;
  readonly #folder: TemporaryFolder;
  readonly #facts: Facts;
  readonly #ca: string;
  readonly #clients: ClientProcess;
  #version: Version = firstVersion;
  /** Those that the proxy had, and has. */
  readonly #pids: number[];

  constructor(proxy: ServingExecutable, folder: TemporaryFolder, facts: Facts, ca: string, clients: ClientProcess) {
    this.#proxy = proxy;
    this.#folder = folder;
    this.#facts = facts;
    this.#ca = ca;
    this.#clients = clients;
    this.#pids = [proxy.pid];
  }

  get #pid(): number {
    return this.#pids.at(-1) ?? 0;
  }

  /** Makes a change and looks at its effect: gives its milliseconds, or what was not as it should be. */
  async change(kind: ChangeKind, at: number): Promise<string | number> {
    const begun = performance.now();
    const fault =
      kind === "handover"
        ? await this.#handOver()
        : await (kind === "broken" ? this.#break(at) : this.#makeChange(kind, at));
    return fault ?? performance.now() - begun;
  }

  async #makeChange(kind: Effect, at: number): Promise<string | undefined> {
    const version = changeVersion(this.#version, kind);
    const isRemoval = kind === "listeners" && version.visitor === "none";
    if (isRemoval) this.#clients.tell({ kind: "removing" });
    await this.#folder.write(writeFiles(version, this.#facts));
    const problem = await this.#reload(at);
    this.#version = version;
    if (problem !== undefined) return `${kind}: ${problem}`;
    if (isRemoval) this.#clients.tell({ kind: "removed" });
    return this.#look(kind);
  }

  /** Whether the change has the effect that it should have. */
  async #look(kind: Effect): Promise<string | undefined> {
    const { certificates } = this.#facts;
    const [clearPort = 0, tlsPort = 0] = this.#proxy.ports;
    const version = this.#version;
    switch (kind) {
      case "certificate": {
        const shown = await readCertificate(tlsPort, this.#ca);
        return shown === readFingerprint(certificates[version.certificate].cert) ? undefined : "the old certificate";
      }
      case "listeners": {
        if (version.visitor === "none") return undefined;
        const port = this.#proxy.ports.at(-1) ?? 0;
        this.#clients.tell({ kind: "add", port, tls: version.visitor === "tls" });
        return undefined;
      }
      case "rules": {
        const answer = await askInVain(clearPort, nameDenied(version), `second:${inventPassword(version)}`);
        return answer.startsWith("HTTP/1.1 403 ") ? undefined : `a denied target gave ${answer.slice(0, 40)}`;
      }
      case "users": {
        const target = `127.0.0.1:${this.#facts.takenPort}`;
        using _ = await openTunnel(clearPort, target, `second:${inventPassword(version)}`);
        const old = inventPassword({ ...version, users: version.users - 1 });
        const answer = await askInVain(clearPort, target, `second:${old}`);
        return answer.startsWith("HTTP/1.1 407 ") ? undefined : `an old password gave ${answer.slice(0, 40)}`;
      }
      default: {
        const config = (await (await this.#ask("/config")).json()) as { limits: { connections: number } };
        return config.limits.connections === 20_000 + version.limits ? undefined : "other limits than written";
      }
    }
  }

  /** Has the proxy start a new process that takes its place. */
  async #handOver(): Promise<string | undefined> {
    const answer = await this.#ask("/handover", "POST");
    if (answer.status !== 200) return `${answer.status} ${await answer.text()}`;
    this.#pids.push(((await answer.json()) as { pid: number }).pid);
    return undefined;
  }

  async #break(at: number): Promise<string | undefined> {
    const { files, problem } = breakFiles(this.#version, this.#facts, Math.floor(at / 5));
    await this.#folder.write(files);
    const told = await this.#reload(at);
    await this.#folder.write(writeFiles(this.#version, this.#facts));
    if (told === undefined) return `a broken file was accepted: ${problem}`;
    return told.includes(problem) ? undefined : `for ${problem} it said: ${told}`;
  }

  /** Has the configuration read, by request or by signal: gives the problems, if there are any. */
  async #reload(at: number): Promise<string | undefined> {
    if (at % 2 === 0) {
      const answer = await this.#ask("/reload", "POST");
      return answer.status === 200 ? undefined : answer.text();
    }
    const before = this.#proxy.told.length;
    process.kill(this.#pid, "SIGHUP");
    const isOutcome = (line: string): boolean => /^(?:Reloaded|Cannot use the new configuration)/.test(line);
    const outcome = await waitFor(() => this.#proxy.told.slice(before).find(isOutcome), "the end of the reload");
    if (outcome.startsWith("Reloaded")) return undefined;
    // The problems are written with it, and may arrive a moment later.
    const look = (): string => this.#proxy.told.slice(this.#proxy.told.indexOf(outcome, before) + 1).join("\n");
    return waitFor(() => look() || undefined, "the problems");
  }

  /** Resident memory of the process that accepts, in bytes. */
  async readRss(): Promise<number> {
    const status = await Bun.file(`/proc/${this.#pid}/status`).text();
    return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1]) * 1024;
  }

  /** Moves a tunnel to a lane. One that comes before lanes run stays in the relay for long. */
  async untilLanesRun(): Promise<void> {
    const { credentials, takenPort, laneBytes } = this.#facts;
    const [clearPort = 0] = this.#proxy.ports;
    const bytes = Buffer.alloc(laneBytes);
    using tunnel = await openTunnel(clearPort, `127.0.0.1:${takenPort}`, Object.values(credentials).join(":"));
    tunnel.consume = () => {};
    for (let tries = 1; (await this.untilInLanes(1, 1)) === 0; tries += 1) {
      if (tries > LANE_TRIES) throw new Error("No tunnel moves to a lane");
      tunnel.write(bytes);
      await tunnel.untilReceived(tries * laneBytes);
    }
  }

  /** Tunnels in lanes, once it is as many as wanted, or after a while. */
  async untilInLanes(wanted: number, mostTries = LANE_TRIES): Promise<number> {
    for (let tries = 0; ; tries += 1) {
      const text = await (await this.#ask("/metrics")).text();
      const count = Number(/^penstock_splice_tunnels ([0-9]+)$/m.exec(text)?.[1]);
      if (count >= wanted || tries === mostTries) return count;
      await Bun.sleep(100);
    }
  }

  #ask(path: string, method = "GET"): Promise<Response> {
    return fetch(`http://localhost${path}`, {
      method,
      unix: join(this.#folder.path, "s.sock"),
      headers: { Authorization: `Bearer ${this.#facts.token}`, Connection: "close" },
      keepalive: false,
    });
  }

  [Symbol.dispose](): void {
    for (const pid of this.#pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended: it gave all that it had to its successor.
      }
    }
  }
}

/** The certificate that a listener shows. */
async function readCertificate(port: number, ca: string): Promise<string> {
  using peer = await connectTls(port, ca);
  return peer.socket.getPeerCertificate().fingerprint256;
}

function readFingerprint(pem: string): string {
  return new X509Certificate(pem).fingerprint256;
}
