import type { Member } from "./member.ts";

/** Members in a binary heap: the one with the least `load` first, and of those the one with the earliest `turn`. */
export class MemberHeap {
  readonly #items: Member[] = [];

  get first(): Member | undefined {
    return this.#items[0];
  }

  clear(): void {
    for (const member of this.#items) member.heapAt = -1;
    this.#items.length = 0;
  }

  push(member: Member): void {
    member.heapAt = this.#items.length;
    this.#items.push(member);
    this.#rise(member);
  }

  remove(member: Member): void {
    const at = member.heapAt;
    const last = this.#items.pop();
    member.heapAt = -1;
    if (last === undefined || last === member) return;
    this.#place(last, at);
    this.update(last);
  }

  /** `load` or `turn` of the member has changed. */
  update(member: Member): void {
    this.#rise(member);
    this.#sink(member);
  }

  #rise(member: Member): void {
    let at = member.heapAt;
    while (at > 0) {
      const parent = this.#items[(at - 1) >> 1] as Member;
      if (!isBefore(member, parent)) break;
      this.#place(parent, at);
      at = (at - 1) >> 1;
    }
    this.#place(member, at);
  }

  #sink(member: Member): void {
    const items = this.#items;
    let at = member.heapAt;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && isBefore(items[child + 1] as Member, items[child] as Member)) child += 1;
      const next = items[child] as Member;
      if (!isBefore(next, member)) break;
      this.#place(next, at);
      at = child;
    }
    this.#place(member, at);
  }

  #place(member: Member, at: number): void {
    this.#items[at] = member;
    member.heapAt = at;
  }
}

/** Whether `one` is chosen before `other`. */
export function isBefore(one: Member, other: Member): boolean {
  if (one.load !== other.load) return one.load < other.load;
  if (one.turn !== other.turn) return one.turn < other.turn;
  return one.index < other.index;
}
