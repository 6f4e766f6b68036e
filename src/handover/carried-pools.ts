import { isCount, type JsonValue, readObject } from "../protocol/handover/json-value.ts";
import type { SavedHealth } from "../proxy/upstream/member-health.ts";
import type { Pools } from "../proxy/upstream/pools.ts";
import type { CarriedState } from "./carried-state.ts";

/** The health of the members of pools, by name: who is disabled, left out or down. Sessions and latency begin anew. */
export function carryPools(pools: Pools): CarriedState {
  return {
    name: "pools",
    save() {
      const saved: Record<string, JsonValue> = {};
      for (const pool of pools) {
        const members = pool.members.map(({ name, health }) => [name, { ...health.save(pool.now()) }] as const);
        saved[pool.plan.name] = Object.fromEntries(members);
      }
      return saved;
    },
    restore(value) {
      const saved = readObject(value);
      if (saved === undefined) return false;
      let understood = true;
      for (const [name, members] of Object.entries(saved)) {
        const pool = pools.get(name);
        for (const [member, state] of Object.entries(readObject(members) ?? {})) {
          const health = readHealth(state);
          if (health === undefined) understood = false;
          else pool?.restore(member, health);
        }
      }
      return understood;
    },
  };
}

function readHealth(value: unknown): SavedHealth | undefined {
  const { disabled, down, ejections, lastForMs, sinceMs, ejectedForMs, reason } = readObject(value) ?? {};
  if (typeof disabled !== "boolean" || typeof down !== "boolean") return undefined;
  if (!isCount(ejections) || typeof lastForMs !== "number" || typeof sinceMs !== "number") return undefined;
  if (ejectedForMs !== undefined && typeof ejectedForMs !== "number") return undefined;
  if (reason !== undefined && typeof reason !== "string") return undefined;
  return {
    disabled,
    down,
    ejections,
    lastForMs,
    sinceMs,
    ...(ejectedForMs !== undefined && { ejectedForMs }),
    ...(reason !== undefined && { reason }),
  };
}
