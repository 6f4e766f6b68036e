import type { Tell } from "./operator-message.ts";
import type { ConfigApplier } from "./apply-config.ts";
import type { LoadResult } from "./config/load.ts";
import type { Drain } from "./drain.ts";
import type { Gate } from "./gate/gate.ts";
import type { SpareDescriptors } from "./net/libc/spare-descriptors.ts";
import { warnOfDescriptors } from "./operator-reports.ts";
import { Reloader } from "./reloader.ts";

/** The parts of a daemon that a reload changes, or asks. */
export interface ReloadedParts {
  readonly gate: Gate;
  readonly applier: Pick<ConfigApplier, "apply">;
  readonly drain: Pick<Drain, "phase">;
  readonly descriptors: SpareDescriptors;
  readonly tell: Tell;
  /** Reads the configuration again. */
  readonly load: () => Promise<LoadResult>;
  /** A configuration was put into effect. */
  readonly applied: () => void;
  /** Called after each reload, with the files that the configuration depends on, and whether it is in effect. */
  readonly reloaded: (files: readonly string[], done: boolean) => void;
}

/** Composes what reads the configuration again and puts it into effect. */
export function composeReloads({ gate, applier, drain, descriptors, tell, ...parts }: ReloadedParts): Reloader {
  return new Reloader({
    load: parts.load,
    async apply(next) {
      const before = gate.runtime.current.limits.inAll.connections;
      const applied = await applier.apply(next);
      if (applied.ok) parts.applied();
      const { connections } = gate.runtime.current.limits.inAll;
      if (connections !== before) warnOfDescriptors(descriptors, next, tell);
      return applied;
    },
    isDraining: () => drain.phase !== "serving",
    tell,
    loaded(files, outcome) {
      gate.events.publish("reload", { ...outcome, kind: undefined, result: outcome.kind });
      parts.reloaded(files, outcome.kind === "done");
    },
  });
}
