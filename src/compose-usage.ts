import type { Tell } from "./operator-message.ts";
import type { CompiledConfig } from "./config/compile.ts";
import type { Gate } from "./gate/gate.ts";
import { type Clocks, QuotaClock } from "./proxy/limit/quota-clock.ts";
import { Quotas } from "./proxy/limit/quotas.ts";
import { Usage } from "./proxy/limit/usage.ts";
import { UsageKeeper } from "./state/usage-keeper.ts";

/** What counts use, and what keeps it. */
export interface UsageParts {
  readonly usage: Usage;
  readonly quotas: Quotas;
  /** Undefined where use is not kept. */
  readonly keeper: UsageKeeper | undefined;
  /** Begins to count and to keep for the gate. Resolves when what was used before is known. */
  start(gate: Gate): Promise<void>;
  /** Follows another configuration. */
  follow(compiled: CompiledConfig): void;
  /** Keeps what is left. No connection may be left. */
  stop(): Promise<void>;
}

const systemClocks: Clocks = { wall: Date.now, monotonic: () => performance.now() };

/** Composes the counting of use. It costs nothing when nobody can ask for it, and there is no quota. */
export function composeUsage(compiled: CompiledConfig, tell: Tell, clocks: Clocks = systemClocks): UsageParts {
  const clock = new QuotaClock(compiled.calendar, clocks, tell);
  const usage = new Usage({
    clock,
    // What is forgotten is read again. What must not be forgotten meanwhile: what is not kept yet, and who is to be refused.
    holdsUser: (use) =>
      use.unsaved ||
      use.awaited !== undefined ||
      gate === undefined ||
      quotas.refuse(use.key, gate.runtime.current.limits) !== undefined,
  });
  const quotas = new Quotas(usage);
  let gate: Gate | undefined;
  let keeper: UsageKeeper | undefined;
  const isWanted = ({ sidecar, runtime }: CompiledConfig) => sidecar !== undefined || runtime.limits.hasQuotas;
  const keep = async (next: CompiledConfig): Promise<void> => {
    usage.enabled = isWanted(next);
    if (gate === undefined || next.state === undefined || !usage.enabled || keeper !== undefined) return;
    const { live, runtime } = gate;
    keeper = new UsageKeeper(next.state.path, { usage, quotas, live, limits: () => runtime.current.limits, tell });
    await keeper.start();
  };
  usage.enabled = isWanted(compiled);
  return {
    usage,
    quotas,
    get keeper() {
      return keeper;
    },
    start(started) {
      gate = started;
      return keep(compiled);
    },
    follow(next) {
      clock.use(next.calendar);
      void keep(next);
    },
    stop: () => keeper?.stop() ?? Promise.resolve(),
  };
}

/** What an operator should look at. */
export function findUsageWarnings({ keeper, quotas }: Pick<UsageParts, "keeper" | "quotas">): string[] {
  const fault = keeper?.status.fault;
  return [
    ...(fault === undefined ? [] : [`The use of users is not kept: ${fault}.`]),
    ...(quotas.areBlind ? ["The use of users is not known: those with quotas are refused."] : []),
  ];
}
