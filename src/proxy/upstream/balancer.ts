import type { BalanceMode } from "../route/pool-plan.ts";
import { isBefore, MemberHeap } from "./member-heap.ts";
import type { Member } from "./member.ts";
import { hashText, Rendezvous } from "./rendezvous.ts";

/** What a choice is made by. */
export interface ChoiceQuery {
  /** Monotonic milliseconds. */
  readonly now: number;
  /** For `hash`. */
  readonly key: string;
  /** Whether a member can be chosen now, and was not tried for this request. */
  readonly isUsable: (member: Member) => boolean;
}

/** Chooses among members that are healthy. Nothing here counts: `changed` tells what did. */
export interface Balancer {
  /** Sets the members that take part. */
  reset(members: readonly Member[], now: number): void;
  /** Undefined when none can be used. */
  choose(query: ChoiceQuery): Member | undefined;
  /** The first `count` members that would be chosen one after the other, as far as that is certain. Nothing is counted. */
  rank(query: ChoiceQuery, count: number): Member[];
  /** The connections of a member have changed. */
  changed(member: Member, now: number): void;
}

export interface BalancerOptions {
  readonly slowStartMs: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

export function createBalancer(mode: BalanceMode, options: BalancerOptions): Balancer {
  switch (mode) {
    case "round-robin":
    case "least-connections":
    case "latency":
      return new TurnBalancer(mode, options);
    case "random":
      return new RandomBalancer(options);
    case "hash":
      return new HashBalancer(options);
    case "first":
      return new FirstBalancer(options);
    default:
      return mode satisfies never;
  }
}

/** The slowest member gets at least this part of what a typical one gets, so that its latency stays known. */
const MOST_COST = 50;

/** Part of the typical latency that a new value leaves. */
const TYPICAL_KEEPS = 0.95;

/** No latency counts for less. */
const LEAST_MS = 0.01;

/**
 * Members take turns in proportion to their weights, spread evenly (earliest
 * deadline first). `least-connections`: fewest connections for their weight
 * first, and turns among equals. `latency`: a turn costs a member its latency
 * times its dials under way, so members get connections in proportion to weight
 * divided by latency.
 */
class TurnBalancer implements Balancer {
  readonly #mode: "round-robin" | "least-connections" | "latency";
  readonly #slowStartMs: number;
  readonly #heap = new MemberHeap();
  #members: ReadonlySet<Member> = new Set();
  /** The turn of the member that was chosen last. */
  #turn = 0;
  /** A typical latency of the members. */
  #typicalMs: number | undefined;

  constructor(mode: "round-robin" | "least-connections" | "latency", { slowStartMs }: BalancerOptions) {
    this.#mode = mode;
    this.#slowStartMs = slowStartMs;
  }

  reset(members: readonly Member[], now: number): void {
    const before = this.#members;
    this.#members = new Set(members);
    this.#heap.clear();
    for (const [at, member] of members.entries()) {
      // First turns are spread, in the order of the configuration: members of a small weight do not come all at once.
      const part = (at + 0.5) / members.length;
      if (!before.has(member)) member.turn = this.#turn + this.#cost(member, now) * part;
      this.changed(member, now);
    }
  }

  choose({ now, isUsable }: ChoiceQuery): Member | undefined {
    const heap = this.#heap;
    let passed: Member[] | undefined;
    let chosen = heap.first;
    while (chosen !== undefined && !isUsable(chosen)) {
      heap.remove(chosen);
      (passed ??= []).push(chosen);
      chosen = heap.first;
    }
    if (chosen !== undefined) {
      this.#turn = Math.max(this.#turn, chosen.turn);
      chosen.turn = this.#turn + this.#cost(chosen, now);
      heap.update(chosen);
    }
    if (passed !== undefined) for (const member of passed) heap.push(member);
    return chosen;
  }

  rank({ isUsable }: ChoiceQuery, count: number): Member[] {
    const usable = [...this.#members].filter(isUsable);
    return usable.sort((one, other) => (isBefore(one, other) ? -1 : 1)).slice(0, count);
  }

  changed(member: Member, now: number): void {
    if (!this.#members.has(member)) return;
    if (!member.hasRoom) {
      if (member.heapAt >= 0) this.#heap.remove(member);
      return;
    }
    member.load = this.#mode === "least-connections" ? member.active / this.#weigh(member, now) : 0;
    if (member.heapAt >= 0) {
      this.#heap.update(member);
      return;
    }
    // Who was away does not catch up.
    member.turn = Math.max(member.turn, this.#turn);
    this.#heap.push(member);
  }

  #weigh(member: Member, now: number): number {
    return member.plan.weight * member.health.shareAt(now, this.#slowStartMs);
  }

  #cost(member: Member, now: number): number {
    return this.#mode === "latency"
      ? (this.#findLatency(member) * (member.dialling + 1)) / this.#weigh(member, now)
      : 1 / this.#weigh(member, now);
  }

  /** In milliseconds. A member without one counts as a typical one. */
  #findLatency({ latency: { average } }: Member): number {
    if (average === undefined) return this.#typicalMs ?? 1;
    const known = Math.max(average, LEAST_MS);
    const typical = (this.#typicalMs ?? known) * TYPICAL_KEEPS + known * (1 - TYPICAL_KEEPS);
    this.#typicalMs = typical;
    return Math.min(known, typical * MOST_COST);
  }
}

/** Samples that are drawn before the members are looked through. */
const MAX_DRAWS = 16;

/** Two members at random, by weight; the one with fewer connections for its weight is chosen. */
class RandomBalancer implements Balancer {
  readonly #options: BalancerOptions;
  #members: readonly Member[] = [];
  /** Sums of the weights up to each member. */
  #sums = new Float64Array(0);

  constructor(options: BalancerOptions) {
    this.#options = options;
  }

  reset(members: readonly Member[]): void {
    this.#members = members;
    this.#sums = new Float64Array(members.length);
    let sum = 0;
    for (const [at, member] of members.entries()) {
      sum += member.plan.weight;
      this.#sums[at] = sum;
    }
  }

  choose(query: ChoiceQuery): Member | undefined {
    const one = this.#drawUsable(query) ?? this.#findAny(query);
    const other = one && this.#drawUsable(query);
    return one === undefined || other === undefined || weighLoad(one) <= weighLoad(other) ? one : other;
  }

  /** The likeliest ones first. */
  rank({ isUsable }: ChoiceQuery, count: number): Member[] {
    const usable = this.#members.filter(isUsable);
    return usable.sort((one, other) => other.plan.weight - one.plan.weight).slice(0, count);
  }

  changed(): void {
    // Connections are looked at when members are compared.
  }

  #drawUsable({ now, isUsable }: ChoiceQuery): Member | undefined {
    const { random, slowStartMs } = this.#options;
    for (let draw = 0; draw < MAX_DRAWS; draw++) {
      const member = this.#draw();
      if (member === undefined) return undefined;
      const share = member.health.shareAt(now, slowStartMs);
      if (isUsable(member) && (share === 1 || random() < share)) return member;
    }
    return undefined;
  }

  #draw(): Member | undefined {
    const sums = this.#sums;
    const wanted = this.#options.random() * (sums.at(-1) ?? 0);
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) > wanted) high = middle;
      else low = middle + 1;
    }
    return this.#members[low];
  }

  #findAny({ isUsable }: ChoiceQuery): Member | undefined {
    return this.#members.find(isUsable);
  }
}

function weighLoad({ active, plan }: Member): number {
  return active / plan.weight;
}

/** The same member for the same key. A member that comes back gets its keys bit by bit. */
class HashBalancer implements Balancer {
  readonly #slowStartMs: number;
  readonly #rendezvous = new Rendezvous();

  constructor({ slowStartMs }: BalancerOptions) {
    this.#slowStartMs = slowStartMs;
  }

  reset(members: readonly Member[]): void {
    this.#rendezvous.reset(members);
  }

  choose({ now, key, isUsable }: ChoiceQuery): Member | undefined {
    const part = this.#slowStartMs === 0 ? 0 : partOf(key);
    const slowStartMs = this.#slowStartMs;
    const isReady = (member: Member) => part < member.health.shareAt(now, slowStartMs) && isUsable(member);
    return this.#rendezvous.find(key, slowStartMs === 0 ? isUsable : isReady) ?? this.#rendezvous.find(key, isUsable);
  }

  rank(query: ChoiceQuery, count: number): Member[] {
    const ranked: Member[] = [];
    const isUsable = (member: Member): boolean => !ranked.includes(member) && query.isUsable(member);
    while (ranked.length < count) {
      const member = this.choose({ ...query, isUsable });
      if (member === undefined) break;
      ranked.push(member);
    }
    return ranked;
  }

  changed(): void {
    // Connections do not matter.
  }
}

/** From 0 to 1, the same for the same key. */
function partOf(key: string): number {
  return (hashText(`part ${key}`) >>> 0) / 0x1_0000_0000;
}

/** The first one that can be used. */
class FirstBalancer implements Balancer {
  readonly #options: BalancerOptions;
  #members: readonly Member[] = [];

  constructor(options: BalancerOptions) {
    this.#options = options;
  }

  reset(members: readonly Member[]): void {
    this.#members = members;
  }

  choose({ now, isUsable }: ChoiceQuery): Member | undefined {
    const { random, slowStartMs } = this.#options;
    let any: Member | undefined;
    for (const member of this.#members) {
      if (!isUsable(member)) continue;
      const share = member.health.shareAt(now, slowStartMs);
      if (share === 1 || random() < share) return member;
      any ??= member;
    }
    return any;
  }

  rank({ isUsable }: ChoiceQuery, count: number): Member[] {
    return this.#members.filter(isUsable).slice(0, count);
  }

  changed(): void {
    // Connections do not matter.
  }
}
