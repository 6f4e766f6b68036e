import { type Ip, ipFromBytes } from "../../address/ip.ts";
import { TYPE_A, TYPE_AAAA } from "../../protocol/dns/message.ts";
import type { AskServers, NameAnswer } from "./ask-servers.ts";
import { listCandidates, type ResolvConf } from "./resolv-conf.ts";
import { type Lookup, type NamedHost, NOT_FOUND } from "./resolver.ts";

/** What a walk finds, and how long it may be remembered. */
export interface Found {
  readonly lookup: Lookup;
  /** Seconds. */
  readonly ttl: number;
}

/** Looks a name up. `tell` is called once for each family; the result gives it up. */
export type Walk = (host: NamedHost, tell: (family: 4 | 6, found: Found) => void) => () => void;

/** Addresses kept of one answer. More is not a service but an attempt to make us busy. */
const MAX_ADDRESSES = 32;

/** Milliseconds that a family has to contradict the other one, which says that the name does not exist. */
const CONTRADICTION_MS = 50;

type Family = 4 | 6;
type Answers = Partial<Record<Family, NameAnswer>>;

/**
 * Makes what walks through the absolute names that a name may stand for, both
 * families of each together: the first that has an address of either family is
 * the one, and the other family is asked of no other name.
 *
 * As glibc does it, but for one thing: when it cannot be known whether the name
 * exists as it was asked for, it is not replaced by one of the search list.
 */
export function createWalk(ask: AskServers, readConf: () => ResolvConf): Walk {
  return (host, tell) => {
    const walking = new Walking(host, readConf(), ask, tell);
    walking.start();
    return () => walking.cancel();
  };
}

class Walking {
  readonly #conf: ResolvConf;
  readonly #ask: AskServers;
  readonly #tell: (family: Family, found: Found) => void;
  readonly #names: readonly string[];
  readonly #asAsked: number;
  #at = -1;
  #answers: Answers = {};
  #cancels: Partial<Record<Family, () => void>> = {};
  #timer: Timer | undefined;
  #won = false;
  /** Why some name could not be looked up; that of the name as it was asked for comes first. */
  #trouble: string | undefined;

  constructor(host: NamedHost, conf: ResolvConf, ask: AskServers, tell: (family: Family, found: Found) => void) {
    this.#conf = conf;
    this.#ask = ask;
    this.#tell = tell;
    const { names, asAsked } = listCandidates(host.text, host.absolute === true, conf);
    this.#names = names;
    this.#asAsked = asAsked;
  }

  start(): void {
    this.#try(0);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#cancels[4]?.();
    this.#cancels[6]?.();
    this.#cancels = {};
  }

  /** Goes on to the name at that place; there is no address when there is none. */
  #try(at: number): void {
    this.cancel();
    this.#at = at;
    this.#answers = {};
    const name = this.#names[at];
    if (name === undefined) {
      const lookup = explain(this.#trouble);
      this.#tell(4, { lookup, ttl: 0 });
      this.#tell(6, { lookup, ttl: 0 });
      return;
    }
    // RFC 8305 §3: AAAA first, A right after it.
    if (this.#conf.noAaaa) this.#answers[6] = { kind: "no_data" };
    else this.#cancels[6] = this.#ask({ name, type: TYPE_AAAA }, this.#conf, (answer) => this.#hear(6, answer));
    this.#cancels[4] = this.#ask({ name, type: TYPE_A }, this.#conf, (answer) => this.#hear(4, answer));
  }

  #hear(family: Family, answer: NameAnswer): void {
    this.#answers[family] = answer;
    delete this.#cancels[family];
    const other = family === 4 ? 6 : 4;
    const before = this.#answers[other];
    if (answer.kind === "found") {
      this.#win();
      this.#tellAnswer(family, answer);
      if (before !== undefined) this.#tellAnswer(other, before);
    } else if (this.#won) this.#tellAnswer(family, answer);
    else if (before !== undefined) this.#goOn();
    // A name that does not exist has nothing of any type (RFC 8020), but for servers that are mistaken about AAAA.
    else if (answer.kind === "no_name") this.#timer = setTimeout(() => this.#goOn(), CONTRADICTION_MS);
  }

  #win(): void {
    this.#won = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tellAnswer(family: Family, answer: NameAnswer): void {
    const name = this.#names[this.#at] ?? "";
    if (answer.kind === "found") {
      this.#tell(family, { lookup: { ok: true, name, addresses: readAddresses(answer.addresses) }, ttl: answer.ttl });
    } else {
      this.#tell(family, { lookup: explain(answer.kind === "trouble" ? answer.note : undefined), ttl: 0 });
    }
  }

  /** This name has no addresses. */
  #goOn(): void {
    const trouble = findTrouble(this.#answers);
    if (trouble === undefined) {
      this.#try(this.#at + 1);
      return;
    }
    const end = this.#names.length;
    if (this.#at === this.#asAsked) {
      this.#trouble = trouble;
      this.#try(end);
      return;
    }
    this.#trouble ??= trouble;
    // Servers that are silent will be so for the rest of the search list, too.
    if (isSilence(trouble)) this.#try(this.#asAsked > this.#at ? this.#asAsked : end);
    else this.#try(this.#at + 1);
  }
}

/** Why it cannot be said whether the name has addresses; undefined when it has none. */
function findTrouble(answers: Answers): string | undefined {
  const both = [answers[4], answers[6]];
  if (both.some((answer) => answer?.kind === "no_name")) return undefined;
  for (const answer of both) if (answer?.kind === "trouble") return answer.note;
  return undefined;
}

function isSilence(note: string): boolean {
  return note === "ETIMEOUT";
}

/** What a lookup ends with that found nothing. */
function explain(trouble: string | undefined): Lookup {
  if (trouble === undefined) return { ok: false, detail: "dns_error", note: NOT_FOUND };
  return { ok: false, detail: isSilence(trouble) ? "dns_timeout" : "dns_error", note: trouble };
}

function readAddresses(raw: readonly Uint8Array[]): Ip[] {
  const addresses = new Map<string, Ip>();
  for (const bytes of raw) {
    const ip = ipFromBytes(bytes);
    addresses.set(ip.text, ip);
    if (addresses.size === MAX_ADDRESSES) break;
  }
  return [...addresses.values()];
}
