import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { askInVain, openTunnel } from "../../support/ask-tunnel.ts";
import { makeAuthority } from "../../support/certificate-authority.ts";
import { startExecutable, type ServingExecutable } from "../../support/executable.ts";
import { type TemporaryFolder, makeFolder } from "../../support/temporary-folder.ts";
import { connectTls } from "../../support/tls-stand.ts";
import { waitFor } from "../../support/wait-for.ts";
import {
  breakFiles,
  type ChangeKind,
  changeVersion,
  type Facts,
  firstVersion,
  inventPassword,
  nameDenied,
  planChanges,
  type Version,
  writeFiles,
} from "./changes.ts";
import type { ClientCommand, ClientMessage, ClientOrder, ClientReport } from "./order.ts";
import { startOrigins } from "./origins.ts";
import { Counter, sumFailures, type Tally } from "./tally.ts";

export interface ReloadsOptions extends Pick<
  ClientOrder,
  "connectsPerSecond" | "tlsEach" | "forwarders" | "tunnels" | "laneBytes"
> {
  readonly reloads: number;
  /** Milliseconds from one change to the next, at least. */
  readonly everyMs: number;
}

export interface ReloadsReport {
  readonly clients: ClientReport;
  /** Each kind of change, with the milliseconds until it was in effect or refused, and looked at. */
  readonly changes: Readonly<Partial<Record<ChangeKind, Tally>>>;
  /** What the origin saw of the long tunnels. */
  readonly streams: { readonly whole: number; readonly wrong: number; readonly reset: number };
  /** Tunnels in lanes before the first change. */
  readonly inLanes: number;
  /** Requests and changes that failed. */
  readonly failures: number;
  /** Long tunnels that did not come to an end in order. */
  readonly lost: number;
  /** Resident memory of the proxy before the first change and after the last, in bytes. */
  readonly rss: readonly [number, number];
  /** Messages of the proxy about itself. */
  readonly mistakes: readonly string[];
}

/** Looks for tunnels in lanes, 100 ms apart. */
const LANE_TRIES = 100;
const TOKEN = "reloads-token";
const CREDENTIALS = { name: "load", password: "load-password" };

/** Puts a proxy under load, changes its configuration meanwhile, and says what failed. */
export async function runReloads(options: ReloadsOptions): Promise<ReloadsReport> {
  using origins = startOrigins();
  await using authority = await makeAuthority();
  const facts: Facts = {
    certificates: [await authority.issue(), await authority.issue()],
    credentials: CREDENTIALS,
    token: TOKEN,
    laneBytes: options.laneBytes,
    takenPort: origins.echoPort,
  };
  await using folder = await makeFolder(writeFiles(firstVersion, facts));
  await using proxy = await startExecutable({ cwd: folder.path });
  await proxy.untilTold("Splicing ");
  const [clearPort = 0, tlsPort = 0] = proxy.ports;
  using clients = new ClientProcess();
  const stand = new Stand(proxy, folder, facts, authority.cert, clients);
  await stand.untilLanesRun();
  await clients.start({
    ...options,
    clearPort,
    tlsPort,
    ca: authority.cert,
    credentials: `${CREDENTIALS.name}:${CREDENTIALS.password}`,
    echoPort: origins.echoPort,
    httpPort: origins.httpPort,
    streamPort: origins.streamPort,
  });
  const before = await proxy.readRss();
  const inLanes = await stand.untilInLanes(options.tunnels.lanes);
  const counters: Partial<Record<ChangeKind, Counter>> = {};
  for (const [at, kind] of planChanges(options.reloads).entries()) {
    const next = performance.now() + options.everyMs;
    await (counters[kind] ??= new Counter()).count(() => stand.change(kind, at));
    await Bun.sleep(Math.max(0, next - performance.now()));
  }
  const report = await clients.stop();
  const rss = [before, await proxy.readRss()] as const;
  const changes = Object.fromEntries(Object.entries(counters).map(([kind, { tally }]) => [kind, tally]));
  const tunnels = Object.values(report.tunnels);
  const wanted = tunnels.reduce((sum, { started }) => sum + started, 0);
  const { whole, wrong, reset } = origins.streams;
  return {
    clients: report,
    changes,
    streams: { whole, wrong, reset },
    inLanes,
    failures:
      sumFailures(report.connects, report.forwards, ...Object.values(changes)) +
      countMissing(report.connects) +
      countMissing(report.forwards),
    lost: Math.max(wanted - tunnels.reduce((sum, { done }) => sum + done, 0), wanted - whole),
    rss,
    mistakes: proxy.told.filter((line) => /mistake|died/i.test(line)),
  };
}

/** Those that neither ended nor failed. */
function countMissing({ started, done, failed, excused }: Tally): number {
  const counts = [...Object.values(failed), ...Object.values(excused)];
  return started - done - counts.reduce((sum, count) => sum + count, 0);
}

/** The proxy whose configuration changes, and how it is made to read it. */
class Stand {
  readonly #proxy: ServingExecutable;
  readonly #folder: TemporaryFolder;
  readonly #facts: Facts;
  readonly #ca: string;
  readonly #clients: ClientProcess;
  #version: Version = firstVersion;

  constructor(proxy: ServingExecutable, folder: TemporaryFolder, facts: Facts, ca: string, clients: ClientProcess) {
    this.#proxy = proxy;
    this.#folder = folder;
    this.#facts = facts;
    this.#ca = ca;
    this.#clients = clients;
  }

  /** Makes a change and looks at its effect: gives its milliseconds, or what was not as it should be. */
  async change(kind: ChangeKind, at: number): Promise<string | number> {
    const begun = performance.now();
    const fault = kind === "broken" ? await this.#break(at) : await this.#makeChange(kind, at);
    return fault ?? performance.now() - begun;
  }

  async #makeChange(kind: Exclude<ChangeKind, "broken">, at: number): Promise<string | undefined> {
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
  async #look(kind: Exclude<ChangeKind, "broken">): Promise<string | undefined> {
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
    this.#proxy.signal("SIGHUP");
    const isOutcome = (line: string): boolean => /^(?:Reloaded|Cannot use the new configuration)/.test(line);
    const outcome = await waitFor(() => this.#proxy.told.slice(before).find(isOutcome), "the end of the reload");
    if (outcome.startsWith("Reloaded")) return undefined;
    // The problems are written with it, and may arrive a moment later.
    const look = (): string => this.#proxy.told.slice(this.#proxy.told.indexOf(outcome, before) + 1).join("\n");
    return waitFor(() => look() || undefined, "the problems");
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
      headers: { Authorization: `Bearer ${TOKEN}`, Connection: "close" },
      keepalive: false,
    });
  }
}

/** The process of the clients. */
class ClientProcess implements Disposable {
  readonly #ready = Promise.withResolvers<void>();
  readonly #done = Promise.withResolvers<ClientReport>();
  readonly #child = Bun.spawn([process.execPath, join(import.meta.dir, "../reload-clients.ts")], {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: (message: ClientMessage) => {
      if (message.kind === "ready") this.#ready.resolve();
      else this.#done.resolve(message.report);
    },
  });

  constructor() {
    void this.#child.exited.then((code) => {
      const gone = new Error(`The clients ended with ${code}`);
      this.#ready.reject(gone);
      this.#done.reject(gone);
    });
    // Whoever waits for them is told.
    void this.#ready.promise.catch(() => {});
    void this.#done.promise.catch(() => {});
  }

  tell(command: ClientCommand): void {
    this.#child.send(command);
  }

  /** Resolves once all long tunnels are open. */
  start(order: ClientOrder): Promise<void> {
    this.tell({ kind: "start", order });
    return this.#ready.promise;
  }

  stop(): Promise<ClientReport> {
    this.tell({ kind: "stop" });
    return this.#done.promise;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
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
