import type { Member } from "./member.ts";

/** Sessions that a pool remembers. */
const MAX_SESSIONS = 65_536;

/** Which member a session has, and when it was used last, in monotonic milliseconds. */
export interface KnownSession {
  readonly key: string;
  readonly member: Member;
  readonly usedAt: number;
}

interface Session {
  member: Member;
  usedAt: number;
  /** Connections of the session that are open. */
  open: number;
}

/** Which member each session has, bounded: the one that was not used for longest is forgotten first. */
export class StickyTable {
  /** A Map keeps the order of insertion: the first one is the least recently used. */
  readonly #sessions = new Map<string, Session>();
  readonly #max: number;

  constructor(max = MAX_SESSIONS) {
    this.#max = max;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** The member of a session that was used in the last `forMs`, or is in use. */
  find(key: string, forMs: number, now: number): Member | undefined {
    const session = this.#sessions.get(key);
    if (session === undefined) return undefined;
    if (session.open === 0 && now - session.usedAt >= forMs) {
      this.#sessions.delete(key);
      return undefined;
    }
    return session.member;
  }

  /** Gives a session its member. */
  set(key: string, member: Member, now: number): void {
    const known = this.#sessions.get(key);
    const session = known ?? { member, usedAt: now, open: 0 };
    session.member = member;
    session.usedAt = now;
    if (known !== undefined) this.#sessions.delete(key);
    this.#sessions.set(key, session);
    if (this.#sessions.size <= this.#max) return;
    const oldest = this.#sessions.keys().next();
    if (!oldest.done) this.#sessions.delete(oldest.value);
  }

  /** A connection of the session opens, or has closed. */
  count(key: string, change: 1 | -1, now: number): void {
    const session = this.#sessions.get(key);
    if (session === undefined) return;
    // The session may have been forgotten meanwhile, and begun again.
    session.open = Math.max(0, session.open + change);
    session.usedAt = now;
  }

  /** The sessions that were used in the last `forMs` or are in use, the least recently begun one last. */
  list(forMs: number, now: number): KnownSession[] {
    const listed: KnownSession[] = [];
    for (const [key, { member, usedAt, open }] of this.#sessions)
      if (open > 0 || now - usedAt < forMs) listed.push({ key, member, usedAt: open > 0 ? now : usedAt });
    return listed.toReversed();
  }

  /** Takes over what `list` of another process gave. A session that was used here later stays as it is. */
  restore(sessions: readonly KnownSession[]): void {
    const wasEmpty = this.#sessions.size === 0;
    for (const { key, member, usedAt } of sessions.toReversed()) {
      const known = this.#sessions.get(key);
      if (known === undefined) this.#sessions.set(key, { member, usedAt, open: 0 });
      else if (known.open === 0 && known.usedAt < usedAt) Object.assign(known, { member, usedAt });
    }
    if (!wasEmpty) this.#sort();
    for (const oldest of this.#sessions.keys().take(Math.max(0, this.#sessions.size - this.#max)))
      this.#sessions.delete(oldest);
  }

  #sort(): void {
    const byUse = [...this.#sessions].sort(([, one], [, other]) => one.usedAt - other.usedAt);
    this.#sessions.clear();
    for (const [key, session] of byUse) this.#sessions.set(key, session);
  }

  /** Forgets the sessions of members that are no more. */
  retain(isKept: (member: Member) => boolean): void {
    for (const [key, { member }] of this.#sessions) if (!isKept(member)) this.#sessions.delete(key);
  }
}
