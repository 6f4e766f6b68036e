import { type Endpoint, formatEndpoint } from "../address/endpoint.ts";
import type { ApprovalAnswer, ApprovalPlace, ApprovalQuestion, Approvals } from "../proxy/decide/ask-operator.ts";
import { ApprovalGrants, type Grant } from "./approval-grants.ts";

/** For how long an answer holds. */
export const ANSWER_TIMES = ["once", "10m", "always"] as const;
export type AnswerTime = (typeof ANSWER_TIMES)[number];

/** What an operator says. `by`: the name of the token. */
export interface Verdict {
  readonly allow: boolean;
  readonly for: AnswerTime;
  readonly by: string;
}

export interface ApprovalBounds {
  /** Connections that wait, and questions that are open, in all. */
  readonly max: number;
  /** The same for each user, or for each client without a user. */
  readonly maxPerClient: number;
}

/** A question without an answer. Equal questions are one, however many connections wait for it. */
export interface OpenQuestion {
  readonly id: string;
  readonly user: string | undefined;
  /** Address of the client that asked first. */
  readonly client: string;
  readonly host: string;
  readonly port: number;
  readonly rule: string;
  /** Milliseconds since the epoch. */
  readonly askedAt: number;
  /** Connections that wait. */
  readonly waiting: number;
}

export interface ApprovalTableOptions {
  readonly bounds: ApprovalBounds;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since the epoch. */
  readonly date: () => number;
  readonly createId: () => string;
  /** Whether the list of what is always allowed has a target. */
  readonly isListed: (target: Endpoint) => boolean;
  /** A question that nobody asked before. */
  readonly asked: (question: OpenQuestion) => void;
  /** The last connection that waited for a question has waited too long. */
  readonly unanswered: (question: OpenQuestion) => void;
}

/** Counts for metrics. */
export interface ApprovalCounts {
  /** Connections that wait now. */
  waiting: number;
  /** Questions without an answer now. */
  open: number;
  /** Questions that were asked, connections that waited too long, and those that had no place to wait. */
  asked: number;
  timedOut: number;
  full: number;
  /** Answers, by what they say: `allow_once`, `deny_10m`. */
  answered: Readonly<Record<string, number>>;
}

/** A place in the table. */
interface Place extends ApprovalPlace {
  isLeft: boolean;
}

interface Entry {
  readonly id: string;
  readonly key: string;
  readonly question: ApprovalQuestion;
  readonly askedAt: number;
  readonly places: Set<Place>;
  /** When the last one left; undefined while somebody waits. */
  leftAt: number | undefined;
}

/** What one user, or one client without a user, has in the table. */
interface Share {
  waiting: number;
  open: number;
}

/**
 * Milliseconds that a question stays open without anybody who waits for it: the
 * client gets its 403 and tries again, which makes no new question.
 */
const OPEN_MS = 600_000;

/**
 * The questions to operators, and what they answered. Asks each question once:
 * equal ones (user or client, host, port) share an entry. Everything in it is bounded.
 */
export class ApprovalTable implements Approvals {
  bounds: ApprovalBounds;
  /** The answers that hold for a time. */
  readonly grants: ApprovalGrants;
  readonly #options: ApprovalTableOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #byId = new Map<string, Entry>();
  /** Entries without anybody who waits, the longest first. */
  readonly #idle = new Set<Entry>();
  readonly #shares = new Map<string, Share>();
  readonly #answered: Record<string, number> = {};
  /** False while nobody can answer. */
  #isOpen = true;
  #waiting = 0;
  #asked = 0;
  #timedOut = 0;
  #full = 0;

  constructor(options: ApprovalTableOptions) {
    this.#options = options;
    this.bounds = options.bounds;
    this.grants = new ApprovalGrants(options.now);
  }

  /** Holders that are counted. Zero when nothing is open. */
  get holders(): number {
    return this.#shares.size;
  }

  get counts(): ApprovalCounts {
    this.#forgetOld();
    return {
      waiting: this.#waiting,
      open: this.#entries.size,
      asked: this.#asked,
      timedOut: this.#timedOut,
      full: this.#full,
      answered: this.#answered,
    };
  }

  ask(question: ApprovalQuestion): ApprovalAnswer | ApprovalPlace {
    const key = keyOf(question);
    const granted = this.grants.use(key);
    if (granted !== undefined) return granted;
    if (this.#options.isListed(question.target)) return ALLOWED;
    if (!this.#isOpen) return CLOSED;
    this.#forgetOld();
    const known = this.#entries.get(key);
    // A reload may have changed how clients are counted.
    const { waiting, open } = this.#shares.get((known?.question ?? question).holder) ?? NOTHING;
    const { max, maxPerClient } = this.bounds;
    if (this.#waiting >= max || waiting >= maxPerClient) return this.#refuse();
    if (known !== undefined) return this.#enter(known);
    if (open >= maxPerClient || !this.#makeRoom(question.holder)) return this.#refuse();
    return this.#enter(this.#open(key, question));
  }

  /** What would be answered without asking anybody; undefined when an operator would be asked. */
  look(question: Asking): "allowed" | "denied" | undefined {
    const granted = this.grants.look(keyOf(question));
    if (granted !== undefined) return granted ? "allowed" : "denied";
    return this.#options.isListed(question.target) ? "allowed" : undefined;
  }

  /** The open questions, the oldest first. */
  list(): OpenQuestion[] {
    this.#forgetOld();
    return Array.from(this.#entries.values(), describe);
  }

  /** The open question, or the one that was answered, of that id. */
  find(id: string): (Pick<OpenQuestion, "user" | "client" | "rule"> & { readonly target: Endpoint }) | undefined {
    this.#forgetOld();
    const entry = this.#byId.get(id);
    if (entry === undefined) return this.grants.find(id);
    const { user, client, rule, target } = entry.question;
    return { user, client: client.text, rule, target };
  }

  /**
   * Answers a question, or changes an answer that holds. Gives the number of
   * connections that it was for; undefined when there is no such question.
   */
  answer(id: string, verdict: Verdict): number | undefined {
    this.#forgetOld();
    const entry = this.#byId.get(id);
    const before = entry === undefined ? this.grants.find(id) : undefined;
    if (entry === undefined && before === undefined) return undefined;
    const key = entry?.key ?? before?.key ?? "";
    const { allow, for: time, by } = verdict;
    const name = `${allow ? "allow" : "deny"}_${time}`;
    this.#answered[name] = (this.#answered[name] ?? 0) + 1;
    this.grants.remove(key);
    const waiting = entry?.places.size ?? 0;
    const keeps = time === "10m" || (time === "once" && allow && waiting === 0);
    if (keeps) {
      const facts = before ?? describeGrant(entry as Entry);
      this.grants.add({ ...facts, allow, once: time === "once", by });
    }
    if (time === "always") return waiting + this.#settleTarget((entry?.question ?? before)?.target, entry);
    if (entry !== undefined) {
      const seconds = time === "10m" ? this.grants.secondsLeft(key) : undefined;
      this.#settle(entry, allow ? ALLOWED : { kind: "denied", ...(seconds !== undefined && { forSeconds: seconds }) });
    }
    return waiting;
  }

  /** Everybody who waits is told that nobody can answer, and nobody waits any more. */
  close(): void {
    this.#isOpen = false;
    for (const entry of this.#entries.values()) this.#settle(entry, CLOSED);
  }

  /** Takes `close` back. */
  open(): void {
    this.#isOpen = true;
  }

  #refuse(): ApprovalAnswer {
    this.#full += 1;
    return BUSY;
  }

  /** Room for one more question: one of somebody else that nobody waits for goes. With one of its own a holder could ask without end. */
  #makeRoom(holder: string): boolean {
    for (const entry of this.#idle) {
      if (this.#entries.size < this.bounds.max) break;
      if (entry.question.holder !== holder) this.#remove(entry);
    }
    return this.#entries.size < this.bounds.max;
  }

  #open(key: string, question: ApprovalQuestion): Entry {
    let id = this.#options.createId();
    while (this.#byId.has(id) || this.grants.find(id) !== undefined) id = this.#options.createId();
    const entry: Entry = { id, key, question, askedAt: this.#options.date(), places: new Set(), leftAt: undefined };
    this.#entries.set(key, entry);
    this.#byId.set(id, entry);
    this.#share(question.holder).open += 1;
    this.#asked += 1;
    this.#options.asked({ ...describe(entry), waiting: 1 });
    return entry;
  }

  #enter(entry: Entry): ApprovalPlace {
    const place: Place = {
      kind: "held",
      whenAnswered: undefined,
      isLeft: false,
      leave: (why) => {
        if (!this.#vacate(entry, place)) return;
        if (why === "deadline") this.#timedOut += 1;
        if (entry.places.size > 0) return;
        entry.leftAt = this.#options.now();
        this.#idle.add(entry);
        if (why === "deadline") this.#options.unanswered(describe(entry));
      },
    };
    entry.places.add(place);
    entry.leftAt = undefined;
    this.#idle.delete(entry);
    this.#share(entry.question.holder).waiting += 1;
    this.#waiting += 1;
    return place;
  }

  /** Frees a place; false when it was free already. */
  #vacate({ places, question }: Entry, place: Place): boolean {
    if (place.isLeft) return false;
    place.isLeft = true;
    places.delete(place);
    this.#waiting -= 1;
    this.#reduce(question.holder, "waiting");
    return true;
  }

  /** Tells all who wait for a question, which is closed. */
  #settle(entry: Entry, answer: ApprovalAnswer): void {
    const places = [...entry.places];
    for (const place of places) this.#vacate(entry, place);
    this.#remove(entry);
    for (const place of places) place.whenAnswered?.(answer);
  }

  /** Allows a target to all who wait for it. Gives the number of those that wait for other questions than `own`. */
  #settleTarget(target: Endpoint | undefined, own: Entry | undefined): number {
    let others = 0;
    for (const entry of this.#entries.values()) {
      if (target === undefined || formatTarget(entry.question.target) !== formatTarget(target)) continue;
      if (entry !== own) others += entry.places.size;
      this.#settle(entry, ALLOWED);
    }
    return others;
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.key);
    this.#byId.delete(entry.id);
    this.#idle.delete(entry);
    this.#reduce(entry.question.holder, "open");
  }

  /** What a holder has. It must get more, or it is never forgotten. */
  #share(holder: string): Share {
    let share = this.#shares.get(holder);
    if (share === undefined) {
      share = { waiting: 0, open: 0 };
      this.#shares.set(holder, share);
    }
    return share;
  }

  #reduce(holder: string, what: keyof Share): void {
    const share = this.#shares.get(holder);
    if (share === undefined) throw new Error("A share is counted that was never taken");
    share[what] -= 1;
    if (share.waiting === 0 && share.open === 0) this.#shares.delete(holder);
  }

  /** Forgets questions that nobody waits for any more. */
  #forgetOld(): void {
    const end = this.#options.now() - OPEN_MS;
    for (const entry of this.#idle) {
      if ((entry.leftAt ?? 0) > end) break;
      this.#remove(entry);
    }
  }
}

const NOTHING: Readonly<Share> = { waiting: 0, open: 0 };
const ALLOWED: ApprovalAnswer = { kind: "allowed" };
const BUSY: ApprovalAnswer = { kind: "busy" };
const CLOSED: ApprovalAnswer = { kind: "closed" };

/** Who asks for what. */
type Asking = Pick<ApprovalQuestion, "user" | "client" | "target">;

/** Equal for questions that one answer is for: the same user, or the same client where it has none, host and port. */
function keyOf({ user, client, target }: Asking): string {
  return JSON.stringify([user ?? null, user === undefined ? client.text : null, formatTarget(target)]);
}

/** As rules compare it: without the dot of an absolute name. */
function formatTarget({ host, port }: Endpoint): string {
  return `${host.text} ${port}`;
}

function describe({ id, question, askedAt, places }: Entry): OpenQuestion {
  const { user, client, target, rule } = question;
  const { host, port } = target;
  return { id, user, client: client.text, host: host.text, port, rule, askedAt, waiting: places.size };
}

function describeGrant({
  id,
  key,
  question,
}: Entry): Pick<Grant, "id" | "key" | "user" | "client" | "rule" | "target"> {
  const { user, client, rule, target } = question;
  return { id, key, user, client: client.text, rule, target };
}

/** `host:port` as lists have it. */
export function formatListEntry({ host, port }: Endpoint): string {
  return formatEndpoint(host.kind === "ip" ? { host, port } : { host: { kind: "name", text: host.text }, port });
}
