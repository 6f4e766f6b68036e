import { isCount, type JsonValue, readListOf, readObject } from "../protocol/handover/json-value.ts";
import { identifyMember, type Member } from "../proxy/upstream/member.ts";
import type { SavedHealth } from "../proxy/upstream/member-health.ts";
import type { SavedLatency } from "../proxy/upstream/peak-ewma.ts";
import type { Pool } from "../proxy/upstream/pool.ts";
import type { CarriedState } from "./carried-state.ts";

/** The pools of a process. */
export interface CarriedPools {
  /** Those of the configuration, and those of what PAC files named. */
  readonly listPools: () => Iterable<Pool>;
  /** The pool that another process knew under this name. */
  readonly findPool: (name: string) => Pool | undefined;
}

/** Characters of observed latencies in all: beyond that only averages are carried. */
const MAX_LATENCY_TEXT = 1024 * 1024;

/** What is known of the members of pools, by name: who is disabled, left out or down, and how long dials take. */
export function carryPools({ listPools, findPool }: CarriedPools): CarriedState {
  return {
    name: "pools",
    save() {
      const saved = new Map<string, JsonValue>();
      let room = MAX_LATENCY_TEXT;
      for (const pool of listPools()) {
        const now = pool.now();
        const members = new Map<string, JsonValue>();
        for (const member of pool.members) {
          const latency = member.latency.save(now);
          const recent = room > 0 ? (latency?.recent ?? []) : [];
          // Such as `123.45,`.
          room -= 7 * recent.length;
          members.set(member.name, {
            ...member.health.save(now),
            identity: identifyMember(member.plan),
            ...(latency && { latency: { ...latency, recent } }),
          });
        }
        saved.set(pool.plan.name, Object.fromEntries(members));
      }
      return Object.fromEntries(saved);
    },
    restore(value) {
      const saved = readObject(value);
      if (saved === undefined) return false;
      let understood = true;
      for (const [name, members] of Object.entries(saved)) {
        const pool = findPool(name);
        for (const [memberName, state] of Object.entries(readObject(members) ?? {})) {
          const known = readMember(state);
          if (known === undefined) understood = false;
          else if (pool !== undefined) restoreMember(pool, memberName, known);
        }
      }
      return understood;
    },
  };
}

interface SavedMember {
  readonly health: SavedHealth;
  readonly latency: SavedLatency | undefined;
  /** Programs before this one do not give it. */
  readonly identity: string | undefined;
}

function restoreMember(pool: Pool, name: string, { health, latency, identity }: SavedMember): void {
  const member = pool.find(name);
  if (member !== undefined && isSameMember(member, identity)) pool.restore(member, health, latency);
}

/** Whether a member is what the other process knew under its name. */
export function isSameMember({ plan }: Member, identity: string | undefined): boolean {
  return identity === undefined || identity === identifyMember(plan);
}

function readMember(value: unknown): SavedMember | undefined {
  const state = readObject(value) ?? {};
  const health = readHealth(state);
  const { latency, identity } = state;
  const known = latency === undefined ? undefined : readLatency(latency);
  if (health === undefined || (latency !== undefined && known === undefined)) return undefined;
  if (identity !== undefined && typeof identity !== "string") return undefined;
  return { health, latency: known, identity };
}

function readLatency(value: unknown): SavedLatency | undefined {
  const { average, agoMs, recent } = readObject(value) ?? {};
  const list = readListOf(recent, (ms) => (isTime(ms) ? ms : undefined));
  return isTime(average) && isTime(agoMs) && list ? { average, agoMs, recent: list } : undefined;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < Infinity;
}

function readHealth(state: Readonly<Record<string, unknown>>): SavedHealth | undefined {
  const { disabled, down, ejections, lastForMs, sinceMs, ejectedForMs, reason } = state;
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
