import { type Ip, ipFromBytes } from "../../address/ip.ts";
import { TYPE_A, TYPE_AAAA } from "../../protocol/dns/message.ts";
import type { AskServers, NameAnswer } from "./ask-servers.ts";
import { listCandidates, type ResolvConf } from "./resolv-conf.ts";
import { type Lookup, type NamedHost, NOT_FOUND } from "./resolver.ts";

/** The result of a walk for one family, and its TTL. */
export interface Found {
  readonly lookup: Lookup;
  /** Seconds. */
  readonly ttl: number;
}

/** Looks a name up. Calls `tell` once for each family. The function that it returns gives the walk up. */
export type Walk = (host: NamedHost, tell: (family: 4 | 6, found: Found) => void) => () => void;

/** Addresses used of one answer. More would only keep the proxy busy. */
const MAX_ADDRESSES = 32;

/** Milliseconds for one family to contradict the other one, which said that the name does not exist. */
const CONTRADICTION_MS = 50;

type Family = 4 | 6;
type Answers = Partial<Record<Family, NameAnswer>>;

/**
 * Makes a walk through the absolute names that a name may stand for (search
 * list), both families of each together. The first name with an address of
 * either family ends it: both families are of that name.
 *
 * It differs from glibc in one thing: when no server says whether the name
 * itself exists, no name of the search list takes its place.
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
  /** Why a name could not be looked up; the reason of the name as asked wins. */
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

  /** Asks for the name with that index; without one the walk ends without addresses. */
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
    // A name that does not exist has no record of any type (RFC 8020), but some servers say so wrongly of AAAA.
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
    // Silent servers stay silent for the rest of the search list.
    if (isSilence(trouble)) this.#try(this.#asAsked > this.#at ? this.#asAsked : end);
    else this.#try(this.#at + 1);
  }
}

/** Why it is unknown whether the name has addresses; undefined when it has none. */
function findTrouble(answers: Answers): string | undefined {
  const both = [answers[4], answers[6]];
  if (both.some((answer) => answer?.kind === "no_name")) return undefined;
  for (const answer of both) if (answer?.kind === "trouble") return answer.note;
  return undefined;
}

function isSilence(note: string): boolean {
  return note === "ETIMEOUT";
}

/** The result of a lookup that found nothing. */
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
