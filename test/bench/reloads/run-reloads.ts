import { makeAuthority } from "../../support/certificate-authority.ts";
import { startExecutable } from "../../support/executable.ts";
import { makeFolder } from "../../support/temporary-folder.ts";
import { type ChangeKind, type Facts, firstVersion, planChanges, writeFiles } from "./changes.ts";
import { ChangingProxy } from "./changing-proxy.ts";
import { ClientProcess } from "./client-process.ts";
import type { ClientOrder, ClientReport } from "./order.ts";
import { startOrigins } from "./origins.ts";
import { Counter, sumFailures, type Tally } from "./tally.ts";

export interface ReloadsOptions extends Pick<
  ClientOrder,
  "connectsPerSecond" | "tlsEach" | "forwarders" | "tunnels" | "laneBytes"
> {
  readonly reloads: number;
  /** Hand-overs to a new process, among the reloads. */
  readonly handovers: number;
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
  using stand = new ChangingProxy(proxy, folder, facts, authority.cert, clients);
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
  for (const [at, kind] of planChanges(options.reloads, options.handovers).entries()) {
    const next = performance.now() + options.everyMs;
    await (counters[kind] ??= new Counter()).count(() => stand.change(kind, at));
    await Bun.sleep(Math.max(0, next - performance.now()));
  }
  const report = await clients.stop();
  const rss = [before, await stand.readRss()] as const;
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
