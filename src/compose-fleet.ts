import type { Tell } from "./operator-message.ts";
import type { UsageParts } from "./compose-usage.ts";
import type { CompiledConfig } from "./config/compile.ts";
import type { Gate } from "./gate/gate.ts";
import { findConnectFault } from "./net/redis/find-connect-fault.ts";
import { shareLimits } from "./compose-shared-limits.ts";
import { findMachineId } from "./state/machine-id.ts";
import { Fleet, type SharedKind } from "./state/redis/fleet.ts";
import { describeServer, FleetReporter } from "./state/redis/fleet-reporter.ts";
import { RedisLink } from "./state/redis/redis-link.ts";
import { isSameRedis, type RedisPlan } from "./state/redis/redis-plan.ts";
import { SharedSessions } from "./state/redis/shared-sessions.ts";
import { SharedUse } from "./state/redis/shared-use.ts";
import { openUsePort } from "./state/redis/use-port.ts";
import { LOOK_MS, lookAtFlows } from "./state/usage-keeper.ts";

/** How the fleet is, for the sidecar. */
export interface FleetStatus {
  readonly up: boolean;
  /** One sentence for the operator; undefined while Redis can be used. */
  readonly warning: string | undefined;
  /** Proxies that share the limits, this one among them. */
  readonly proxies: number;
  readonly exchanges: number;
  readonly failures: Fleet["failures"];
}

/** What shares counts with other proxies. */
export interface FleetParts {
  /** Undefined where nothing is shared. */
  readonly status: FleetStatus | undefined;
  /** Begins to count use and to share. Resolves when it is known what was used here and elsewhere, or that takes too long. */
  start(gate: Gate): Promise<void>;
  /** Follows another configuration, with the counting of use. */
  follow(compiled: CompiledConfig): void;
  /** Keeps what is left, and tells a last time. No connection may be left. */
  stop(): Promise<void>;
}

/** Milliseconds for the use of others to be known before clients come. */
const START_MS = 2000;

interface Running {
  readonly plan: RedisPlan;
  readonly fleet: Fleet;
  readonly use: SharedUse;
  readonly hasQuotas: boolean;
  stop(): Promise<void>;
}

/** What tells that the use of others is known. */
interface KnownFrom {
  readonly use: Pick<SharedUse, "scanned">;
  readonly fleet: Pick<Fleet, "exchanged" | "fault">;
  readonly hasQuotas: boolean;
}

/** Composes what shares counts with other proxies. It costs nothing where no Redis is configured. */
export function composeFleet(compiled: CompiledConfig, use: UsageParts, tell: Tell): FleetParts {
  let gate: Gate | undefined;
  let running: Running | undefined;
  let stopping: Promise<void> = Promise.resolve();
  const follow = ({ redis, state }: CompiledConfig): Promise<void> => {
    if (gate === undefined) return Promise.resolve();
    if (running !== undefined && redis !== undefined && isSameRedis(running.plan, redis)) return Promise.resolve();
    stopping = Promise.all([stopping, running?.stop()]).then(() => {});
    running = redis && share(redis, gate, { use, folder: state?.path, tell });
    return running === undefined ? Promise.resolve() : untilKnown(running, use);
  };
  return {
    get status() {
      return running && describeFleet(running);
    },
    async start(started) {
      await use.start(started);
      gate = started;
      await follow(compiled);
    },
    follow(next) {
      use.follow(next);
      void follow(next);
    },
    async stop() {
      await use.stop();
      await Promise.all([stopping, running?.stop()]);
    },
  };
}

interface ShareOptions {
  readonly use: UsageParts;
  readonly folder: string | undefined;
  readonly tell: Tell;
}

/** Begins to share through a server. */
function share(plan: RedisPlan, gate: Gate, { use: parts, folder, tell }: ShareOptions): Running {
  const { usage, quotas, keeper } = parts;
  const id = crypto.randomUUID();
  const limits = () => gate.runtime.current.limits;
  const changed = (urgent: boolean) => fleet.changed(urgent);
  // Without a folder each process counts for itself.
  const machine = () => (folder === undefined ? id : findMachineId(folder));
  let known: string | undefined;
  const use = new SharedUse({
    table: openUsePort(usage, limits),
    machine: () => (keeper === undefined || keeper.isOpen ? (known ??= machine()) : known),
    changed,
  });
  const sessions = new SharedSessions(
    { follow: (pool, key, member, agoMs) => gate.pools.get(pool)?.follow(key, member, agoMs) },
    changed,
  );
  const shared = shareLimits(gate, changed);
  const kinds: SharedKind[] = [...shared.kinds, use, sessions];
  const reporter = new FleetReporter(plan.name, tell);
  const link = new RedisLink({ plan, findConnectFault });
  const fleet = new Fleet({ link, kinds, id, prefix: plan.prefix, report: (change) => reporter.report(change) });
  usage.onUse = (user) => {
    if (limits().hasQuotas) use.changed(user);
  };
  gate.pools.bound = (session) => sessions.bound(session);
  const look = setInterval(() => {
    // The keeper looks itself.
    if (parts.keeper === undefined && limits().hasQuotas) lookAtFlows({ usage, quotas, live: gate.live, limits });
  }, LOOK_MS);
  look.unref();
  fleet.start();
  return {
    plan,
    fleet,
    use,
    hasQuotas: limits().hasQuotas,
    stop() {
      clearInterval(look);
      usage.onUse = undefined;
      gate.pools.bound = undefined;
      shared.stop();
      return fleet.stop();
    },
  };
}

/** Waits until it is known what was used elsewhere. Where use is kept only in Redis, nobody with a quota is served until then. */
export async function untilKnown(
  { use: shared, fleet, hasQuotas }: KnownFrom,
  { usage, quotas, keeper }: Pick<UsageParts, "usage" | "quotas" | "keeper">,
): Promise<void> {
  if (!hasQuotas) return;
  const { day, month } = usage.clock.period;
  const awaited = { kind: "awaited", period: { day, month } } as const;
  if (keeper === undefined) quotas.knowledge = awaited;
  const known = shared.scanned.then(() => {
    // After a reload something else may be awaited, or known to be lost.
    if (quotas.knowledge === awaited) quotas.knowledge = { kind: "whole" };
  });
  const failed = fleet.exchanged().then(() => (fleet.fault === undefined ? known : undefined));
  await Promise.race([known, failed, Bun.sleep(START_MS)]);
}

function describeFleet({ plan, fleet }: Running): FleetStatus {
  const { fault, proxies, exchanges, failures } = fleet;
  return {
    up: fleet.wasHeard && fault === undefined,
    warning: fault && `${describeServer(plan.name)} ${fault.why}: limits are not shared.`,
    proxies,
    exchanges,
    failures,
  };
}
