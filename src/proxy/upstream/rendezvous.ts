import type { Member } from "./member.ts";

/** Below this number each key is looked for among all members; above, winners are remembered. */
const MAX_SCAN = 128;

/** Classes of keys whose winner is remembered in a large pool. */
const SLOTS = 65_536;
const UNKNOWN = -1;

/** Members of one weight, and the seeds of their hashes. */
interface WeightClass {
  readonly weight: number;
  readonly members: Member[];
  readonly seeds: number[];
}

/**
 * Rendezvous hashing with weights: for each key every member has a score, and the
 * highest one wins. A member that leaves moves only its own keys, evenly to the
 * others; one that comes takes its share from each.
 */
export class Rendezvous {
  #classes: WeightClass[] = [];
  #members: readonly Member[] = [];
  /** Indexes of the winners in a large pool. */
  #winners: Int16Array | undefined;

  /** Sets the members that take part. */
  reset(members: readonly Member[]): void {
    this.#members = members;
    const byWeight = new Map<number, WeightClass>();
    for (const member of members) {
      const { weight, name } = member.plan;
      let known = byWeight.get(weight);
      if (known === undefined) byWeight.set(weight, (known = { weight, members: [], seeds: [] }));
      known.members.push(member);
      known.seeds.push(hashText(name));
    }
    this.#classes = [...byWeight.values()];
    if (members.length <= MAX_SCAN) this.#winners = undefined;
    else if (this.#winners === undefined) this.#winners = new Int16Array(SLOTS).fill(UNKNOWN);
    else this.#winners.fill(UNKNOWN);
  }

  /** The member of a key among those that `isUsable`. */
  find(key: string, isUsable: (member: Member) => boolean): Member | undefined {
    const hash = hashText(key);
    const winner = this.#winners === undefined ? this.#scan(hash) : this.#recall(hash, this.#winners);
    return winner === undefined || isUsable(winner) ? winner : this.#scan(hash, isUsable);
  }

  #recall(hash: number, winners: Int16Array): Member | undefined {
    const slot = (hash ^ (hash >>> 16)) & (SLOTS - 1);
    const known = winners[slot] as number;
    if (known !== UNKNOWN) return this.#members[known];
    const winner = this.#scan(mix(slot));
    if (winner !== undefined) winners[slot] = this.#members.indexOf(winner);
    return winner;
  }

  #scan(hash: number, isUsable?: (member: Member) => boolean): Member | undefined {
    let winner: Member | undefined;
    let best = -Infinity;
    for (const { weight, members, seeds } of this.#classes) {
      // In a class of one weight the highest hash has the highest score.
      let top = -1;
      let topAt = -1;
      for (let at = 0; at < seeds.length; at++) {
        const value = mix((seeds[at] as number) ^ hash) >>> 1;
        if (value <= top || (isUsable !== undefined && !isUsable(members[at] as Member))) continue;
        top = value;
        topAt = at;
      }
      if (topAt < 0) continue;
      const score = weight / -Math.log((top + 0.5) / 0x8000_0000);
      if (score <= best) continue;
      best = score;
      winner = members[topAt];
    }
    return winner;
  }
}

/** FNV-1a over UTF-16 code units, mixed. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mix(hash);
}

/** The finaliser of MurmurHash3: every bit of the result depends on every bit of `value`. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
