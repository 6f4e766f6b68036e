import { type Ip, parseIp } from "../address/ip.ts";

/** What became of one question. */
export type Lookup =
  /** At least one address, in the order of the answer. */
  | { readonly ok: true; readonly addresses: readonly Ip[] }
  /** `note` is a word such as `ENOTFOUND` (no such name, or none of that family) or `ESERVFAIL`. */
  | { readonly ok: false; readonly detail: "dns_error" | "dns_timeout"; readonly note: string };

/** Turns names into addresses. */
export interface Resolver {
  /** The addresses of `name` of one family. At once when the answer is known. Never rejects. */
  lookup(name: string, family: 4 | 6): Lookup | Promise<Lookup>;
}

/** An answer as a source gives it. */
export interface RawAnswer {
  readonly address: string;
  /** Seconds; 0 when the source does not say. */
  readonly ttl: number;
}

/** Who is asked when nothing is remembered. Rejects with an error that has a `code`. */
export type AskDns = (name: string, family: 4 | 6) => Promise<readonly RawAnswer[]>;

/** Addresses kept of one answer. More is not a service but an attempt to make us busy. */
const MAX_ADDRESSES = 32;
/** Answers remembered, and questions under way. */
const MAX_REMEMBERED = 4096;
const MAX_PENDING = 1024;
/** Milliseconds that an answer is remembered at least and at most, whatever its TTL says, and that a failure is. */
const MIN_POSITIVE_MS = 1000;
const MAX_POSITIVE_MS = 30_000;
const NOT_FOUND_MS = 5000;
const TROUBLE_MS = 1000;
/** Milliseconds after which a question is given up, so that one lost answer does not silence a name. */
const GIVE_UP_MS = 30_000;

/**
 * Remembers answers for a while, asks the same question once at a time, and
 * bounds everything. Most tunnels go to few names, so most cost no question.
 */
export class CachingResolver implements Resolver {
  readonly #ask: AskDns;
  readonly #now: () => number;
  readonly #remembered = new Map<string, { readonly lookup: Lookup; readonly until: number }>();
  readonly #pending = new Map<string, Promise<Lookup>>();

  /** `now` is a clock in milliseconds that never goes back. */
  constructor(ask: AskDns, now: () => number) {
    this.#ask = ask;
    this.#now = now;
  }

  lookup(name: string, family: 4 | 6): Lookup | Promise<Lookup> {
    const key = `${family}${name}`;
    const known = this.#remembered.get(key);
    if (known !== undefined) {
      if (known.until > this.#now()) return known.lookup;
      this.#remembered.delete(key);
    }
    const underWay = this.#pending.get(key);
    if (underWay !== undefined) return underWay;
    if (this.#pending.size >= MAX_PENDING)
      return { ok: false, detail: "dns_error", note: "too many questions under way" };
    const question = this.#question(key, name, family);
    this.#pending.set(key, question);
    return question;
  }

  async #question(key: string, name: string, family: 4 | 6): Promise<Lookup> {
    let timer: Timer | undefined;
    const answered = await Promise.race([
      this.#ask(name, family).then(readAnswers, readTrouble),
      new Promise<Answered>((resolve) => {
        timer = setTimeout(resolve, GIVE_UP_MS, readTrouble({ code: "ETIMEOUT" }));
      }),
    ]);
    clearTimeout(timer);
    this.#pending.delete(key);
    this.#remember(key, answered);
    return answered.lookup;
  }

  #remember(key: string, { lookup, keepMs }: Answered): void {
    if (this.#remembered.size >= MAX_REMEMBERED) {
      const [oldest] = this.#remembered.keys();
      if (oldest !== undefined) this.#remembered.delete(oldest);
    }
    this.#remembered.set(key, { lookup, until: this.#now() + keepMs });
  }
}

interface Answered {
  readonly lookup: Lookup;
  readonly keepMs: number;
}

function readAnswers(answers: readonly RawAnswer[]): Answered {
  const addresses = new Map<string, Ip>();
  let ttlMs = MAX_POSITIVE_MS;
  for (const { address, ttl } of answers) {
    // A zone id belongs to this machine, and no address of another one has it.
    const ip = parseIp(address);
    if (ip === undefined) continue;
    addresses.set(ip.text, ip);
    ttlMs = Math.min(ttlMs, ttl * 1000);
    if (addresses.size === MAX_ADDRESSES) break;
  }
  if (addresses.size === 0) return readTrouble({ code: "ENOTFOUND" });
  return { lookup: { ok: true, addresses: [...addresses.values()] }, keepMs: Math.max(ttlMs, MIN_POSITIVE_MS) };
}

function readTrouble(error: unknown): Answered {
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "EUNKNOWN";
  const note = code.replace(/^DNS_/, "");
  if (note === "ENOTFOUND" || note === "ENODATA") {
    return { lookup: { ok: false, detail: "dns_error", note: "ENOTFOUND" }, keepMs: NOT_FOUND_MS };
  }
  const timedOut = note === "ETIMEOUT" || note === "EAI_AGAIN";
  return { lookup: { ok: false, detail: timedOut ? "dns_timeout" : "dns_error", note }, keepMs: TROUBLE_MS };
}
