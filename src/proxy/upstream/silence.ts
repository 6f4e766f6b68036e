import { PeakEwma } from "./peak-ewma.ts";

/** What a member does when it is pinged: asked something that it answers by itself, whatever targets do. */
export type Reaction =
  /** It speaks its protocol. */
  | { readonly kind: "answered" }
  /** It does so, and does not accept our login. */
  | { readonly kind: "refused" }
  /** It closes the connection, or says what is not its protocol. */
  | { readonly kind: "wrong" }
  /** It accepts no connection, or says nothing. */
  | { readonly kind: "silent" }
  /** Something before it failed, so that nothing is known of it. */
  | { readonly kind: "unknown" };

/** How long a request waits for the first byte of its response before another member is asked, in milliseconds. */
const LEAST_DELAY_MS = 250;
const MOST_DELAY_MS = 2000;
const UNKNOWN_DELAY_MS = 1000;

/** The part of the responses that begin within this delay. */
const USUAL_PART = 0.95;

/** Milliseconds for which the reaction to a ping holds: between the beginnings of two of them. */
const PING_EVERY_MS = 1000;

/** Milliseconds after which a ping is unlikely to be answered. */
const LATE_MS = 250;

/** Requests that may be sent to another member, too, while this one may only be slow: so many at once, and for each answer a part of one more. */
const MAX_SPARE = 50;
const SPARE_PER_ANSWER = 0.1;

interface Ping {
  readonly at: number;
  runs: boolean;
  readonly reaction: Promise<Reaction>;
}

/** How soon a member says anything, and what its silence means. Times are monotonic milliseconds. */
export class Silence {
  /** How long responses to forwarded requests take to begin. */
  readonly #responses = new PeakEwma();
  #heardAt = -Infinity;
  /** The last pings, by what it was asked. */
  readonly #pings = new Map<string, Ping>();
  #spare = MAX_SPARE;

  /** It did what a client asked for, or reacted to a ping. */
  heard(now: number): void {
    this.#heardAt = now;
  }

  /** A response began `ms` after its request. */
  answered(ms: number, now: number): void {
    this.#responses.observe(ms, now);
    this.#spare = Math.min(MAX_SPARE, this.#spare + SPARE_PER_ANSWER);
  }

  /** It kept silent for `ms` and works: it can take so long. */
  tookLonger(ms: number, now: number): void {
    this.#responses.observe(ms, now);
  }

  /** Milliseconds of silence after which a request is worth another one. */
  get delayMs(): number {
    const usual = this.#responses.quantile(USUAL_PART);
    return usual === undefined ? UNKNOWN_DELAY_MS : Math.min(Math.max(usual, LEAST_DELAY_MS), MOST_DELAY_MS);
  }

  /** Whether one more request may be sent to another member, too: any of them while a ping is not answered. */
  hasSpare(now: number): boolean {
    return this.#spare >= 1 || this.#isLate(now);
  }

  takeSpare(): void {
    this.#spare = Math.max(0, this.#spare - 1);
  }

  /** Whether a member that works would have reacted to the ping that is under way. */
  #isLate(now: number): boolean {
    for (const { runs, at } of this.#pings.values()) if (runs && now - at >= LATE_MS) return true;
    return false;
  }

  /** Whether it said nothing to anybody for `ms`. */
  isDoubtful(ms: number, now: number): boolean {
    return now - this.#heardAt >= ms;
  }

  /** Pings it; who asks the same question meanwhile, or soon after, gets the same reaction. */
  ping(question: string, send: () => Promise<Reaction>, now: () => number): Promise<Reaction> {
    const known = this.#pings.get(question);
    if (known !== undefined && (known.runs || now() - known.at < PING_EVERY_MS)) return known.reaction;
    const hear = (reaction: Reaction): Reaction => {
      // It was gone, so that no request was sent twice because of a slow target.
      if (reaction.kind === "silent") this.#spare = MAX_SPARE;
      else if (reaction.kind !== "unknown") this.heard(now());
      return reaction;
    };
    const end = (): void => void (ping.runs = false);
    const ping: Ping = { at: now(), runs: true, reaction: send().then(hear).finally(end) };
    this.#pings.set(question, ping);
    return ping.reaction;
  }
}
