import { type JsonValue, readListOf, readObject } from "../protocol/handover/json-value.ts";
import { identifyMember, type Member } from "../proxy/upstream/member.ts";
import type { Pool } from "../proxy/upstream/pool.ts";
import type { KnownSession } from "../proxy/upstream/sticky-table.ts";
import { type CarriedPools, isSameMember } from "./carried-pools.ts";
import type { CarriedState } from "./carried-state.ts";

/** Bytes of sessions: in the offer, which holds up connections while it is written, and in each message that follows. */
const SIZES = { offer: 4 * 1024 * 1024, part: 512 * 1024 };
/** Characters of the key of a session. One with more is not carried. */
const MAX_KEY = 1024;

/** The members of a pool and their sessions, as one text: JSON is several times as fast with it as with a list. */
interface SavedSessions {
  /** Name and identity. */
  readonly members: readonly (readonly [name: string, identity: string])[];
  /** Of each session its member, by place, the milliseconds since its last use, the length of its key, and the key; the last one used first. */
  readonly sessions: string;
}

/** The sessions of sticky pools. Those that were used last are in the offer, and the others follow. */
export function carrySessions({ listPools, findPool }: CarriedPools, sizes = SIZES): CarriedState {
  const offeredAt = new WeakMap<Pool, number>();
  const listSticky = (): Pool[] => [...listPools()].filter(({ sessions }) => sessions.size > 0);
  return {
    name: "sessions",
    save(again) {
      const pools = listSticky();
      const saved = new Map<string, JsonValue>();
      for (const pool of pools) {
        const since = (again === "offer" ? offeredAt.get(pool) : undefined) ?? -Infinity;
        offeredAt.set(pool, pool.now());
        const [first] = splitSessions(pool, since, [sizes.offer / pools.length]);
        if (first !== undefined) saved.set(pool.plan.name, first);
      }
      return Object.fromEntries(saved);
    },
    *rest() {
      const pools = listSticky();
      for (const pool of pools) {
        const parts = splitSessions(pool, -Infinity, [sizes.offer / pools.length, sizes.part]);
        for (const part of parts.drop(1)) yield { [pool.plan.name]: part };
      }
    },
    restore(value) {
      const pools = readObject(value);
      if (pools === undefined) return false;
      let understood = true;
      for (const [name, written] of Object.entries(pools)) {
        const pool = findPool(name);
        // What is no sticky pool any more has no sessions.
        if (pool?.plan.sticky === undefined) continue;
        const sessions = readSessions(written, pool);
        if (sessions === undefined) understood = false;
        else pool.sessions.restore(sessions);
      }
      return understood;
    },
  };
}

/** The sessions of a pool that were used at `since` or later, the last ones first, in parts of so many bytes: the last size is that of all that follow. */
function* splitSessions(pool: Pool, since: number, sizes: readonly number[]): Generator<JsonValue> {
  const now = pool.now();
  const members = pool.members.map(({ plan }) => [plan.name, identifyMember(plan)] as const);
  const saved = (sessions: string) => ({ members, sessions }) satisfies SavedSessions;
  const left = [...sizes];
  let room = left[0] ?? 0;
  let text = "";
  for (const { key, member, usedAt } of pool.sessions.list(pool.plan.sticky?.forMs ?? 0, now)) {
    if (usedAt < since || key.length > MAX_KEY) continue;
    text += `${member.index} ${Math.round(now - usedAt)} ${key.length} ${key}`;
    room -= countBytes(key);
    if (room > 0) continue;
    yield saved(text);
    if (left.length > 1) left.shift();
    text = "";
    room = left[0] ?? 0;
  }
  if (text !== "") yield saved(text);
}

/** The most that a key takes in JSON, with its member and its time. */
function countBytes(key: string): number {
  return 24 + (/^[ !#-[\]-~]*$/.test(key) ? key.length : 6 * key.length);
}

/** The sessions of members that are the same here, the others left out; undefined when they are not understood. */
function readSessions(value: unknown, pool: Pool): KnownSession[] | undefined {
  const { members: listed, sessions } = readObject(value) ?? {};
  const members = readListOf(listed, (item) => readMember(item, pool));
  if (members === undefined || typeof sessions !== "string") return undefined;
  const now = pool.now();
  const read: KnownSession[] = [];
  const numbers = /(\d{1,15}) (\d{1,15}) (\d{1,4}) /y;
  while (numbers.lastIndex < sessions.length) {
    const [, place, idleMs, length] = numbers.exec(sessions) ?? [];
    const keyAt = numbers.lastIndex;
    const end = keyAt + Number(length);
    if (length === undefined || Number(place) >= members.length || end > sessions.length) return undefined;
    const member = members[Number(place)]?.member;
    if (member !== undefined) read.push({ key: sessions.slice(keyAt, end), member, usedAt: now - Number(idleMs) });
    numbers.lastIndex = end;
  }
  return read;
}

/** A member as it is here, when it is the same; undefined for what is no member. */
function readMember(item: unknown, pool: Pool): { readonly member: Member | undefined } | undefined {
  const [name, identity]: readonly unknown[] = Array.isArray(item) ? item : [];
  if (typeof name !== "string" || typeof identity !== "string") return undefined;
  const member = pool.find(name);
  return { member: member !== undefined && isSameMember(member, identity) ? member : undefined };
}
