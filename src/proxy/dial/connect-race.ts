import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Connect, ConnectAttempt } from "../../net/runtime/connect.ts";
import type { Lookup } from "../../net/dns/resolver.ts";
import { fail, type Failure, type Outcome, succeed } from "../failure.ts";
import { judgeConnectError, moreTelling } from "./connect-error.ts";
import type { DialLimit } from "./dial-limit.ts";
import { explainLookups, RESOLUTION_DELAY_MS } from "../resolve/resolve-host.ts";

/** An address and a port that were dialled. */
export interface DialledAddress {
  readonly ip: Ip;
  readonly port: number;
}

/** A connection, and the address it was made to. */
export interface Connected {
  readonly conn: Conn;
  readonly address: DialledAddress;
}

export interface RaceOptions {
  readonly port: number;
  readonly source: Ip | undefined;
  /** Why an address must not be dialled; undefined when it may. */
  readonly refuse: (ip: Ip) => Failure | undefined;
  readonly connect: Connect;
  readonly limit: DialLimit;
  readonly pace: RacePace;
}

/** Milliseconds. */
export interface RacePace {
  /** How long the first attempt waits for IPv6 addresses when those of IPv4 came first (RFC 8305 §3). */
  readonly resolutionDelayMs: number;
  /** How long an attempt is alone before the next one starts beside it (RFC 8305 §5). */
  readonly attemptDelayMs: number;
}

/** The values that RFC 8305 §8 recommends. */
export const RFC_8305_PACE: RacePace = { resolutionDelayMs: RESOLUTION_DELAY_MS, attemptDelayMs: 250 };

/** Attempts per dial: enough for every sane service, too few to scan a network with one request. */
const MAX_ATTEMPTS = 16;

/** What is asked of DNS: a question per family. */
export type Questions = readonly { readonly family: 4 | 6; readonly answer: Lookup | Promise<Lookup> }[];

/**
 * Connects to the first address that answers (Happy Eyeballs, RFC 8305): the
 * families in turn, IPv6 first, a new attempt when the last one failed or has
 * taken its time, and none to an address that is refused. The others are given up.
 */
export function raceConnect(questions: Questions, options: RaceOptions): Promise<Outcome<Connected>> {
  return new Promise((resolve) => {
    new ConnectRace(questions, options, resolve).start();
  });
}

class ConnectRace {
  readonly #questions: Questions;
  readonly #options: RaceOptions;
  readonly #resolve: (outcome: Outcome<Connected>) => void;
  readonly #waiting: Record<4 | 6, Ip[]> = { 4: [], 6: [] };
  readonly #running = new Set<ConnectAttempt>();
  readonly #answers: Lookup[] = [];
  /** Families whose answer is still to come. */
  readonly #asked = new Set<4 | 6>();
  #nextFamily: 4 | 6 = 6;
  #attempts = 0;
  /** Set while the next attempt is to wait. */
  #timer: Timer | undefined;
  #over = false;
  /** Why attempts failed, and why addresses were not tried. */
  #failed: Failure | undefined;
  #refused: Failure | undefined;

  constructor(questions: Questions, options: RaceOptions, resolve: (outcome: Outcome<Connected>) => void) {
    this.#questions = questions;
    this.#options = options;
    this.#resolve = resolve;
  }

  start(): void {
    this.#options.limit.whenOver(() => this.#stop());
    if (this.#over) return;
    for (const { family, answer } of this.#questions) {
      if (!(answer instanceof Promise)) {
        this.#take(family, answer);
        continue;
      }
      this.#asked.add(family);
      void answer.then((lookup) => {
        this.#asked.delete(family);
        this.#take(family, lookup);
        this.#proceed();
      });
    }
    this.#proceed();
  }

  #take(family: 4 | 6, lookup: Lookup): void {
    this.#answers.push(lookup);
    if (!lookup.ok) return;
    for (const ip of lookup.addresses) {
      const refusal = this.#options.refuse(ip);
      if (refusal === undefined) this.#waiting[family].push(ip);
      else this.#refused ??= refusal;
    }
  }

  /** Does what there is to do now: start, wait, or end. */
  #proceed(): void {
    if (this.#over) return;
    const { pace } = this.#options;
    const holdBack = this.#attempts === 0 && this.#waiting[6].length === 0 && this.#asked.has(6);
    if (this.#timer !== undefined) {
      // Addresses came while another attempt has its time; or those that the first one waited for.
      if (this.#attempts > 0 || holdBack) return;
      this.#endWait();
    }
    if (this.#waiting[4].length === 0 && this.#waiting[6].length === 0) {
      if (this.#asked.size === 0 && this.#running.size === 0) this.#end();
    } else if (this.#attempts >= MAX_ATTEMPTS) {
      if (this.#running.size === 0) this.#end();
    } else if (holdBack) {
      this.#wait(pace.resolutionDelayMs);
    } else {
      this.#attempt();
    }
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#waiting[4].length > 0 || this.#waiting[6].length > 0) this.#attempt();
    }, ms);
  }

  #endWait(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #attempt(): void {
    const ip = this.#takeNext();
    if (ip === undefined || this.#attempts >= MAX_ATTEMPTS) return;
    this.#attempts += 1;
    const { connect, port, source } = this.#options;
    const attempt = connect({ ip, port, ...(source === undefined ? {} : { source }) }, (result) => {
      this.#running.delete(attempt);
      if (result.ok) {
        this.#win({ conn: result.conn, address: { ip, port } });
        return;
      }
      this.#failed = moreTelling(this.#failed, judgeConnectError(result.code));
      this.#endWait();
      this.#proceed();
    });
    this.#running.add(attempt);
    if (this.#waiting[4].length > 0 || this.#waiting[6].length > 0 || this.#asked.size > 0) {
      this.#wait(this.#options.pace.attemptDelayMs);
    }
  }

  /** RFC 8305 §4: the families take turns. */
  #takeNext(): Ip | undefined {
    const family = this.#nextFamily;
    const other = family === 6 ? 4 : 6;
    const ip = this.#waiting[family].shift();
    if (ip === undefined) return this.#waiting[other].shift();
    this.#nextFamily = other;
    return ip;
  }

  #win(connected: Connected): void {
    if (this.#over) {
      connected.conn.reset();
      return;
    }
    this.#close();
    this.#resolve(succeed(connected));
  }

  #end(): void {
    this.#close();
    this.#resolve({ ok: false, failure: this.#failed ?? this.#refused ?? explainLookups(this.#answers) });
  }

  /** Time is up, or nobody waits any more. */
  #stop(): void {
    const tried = this.#running.size > 0;
    this.#close();
    if (this.#options.limit.over === "client_gone") this.#resolve(fail("client_gone"));
    else if (tried) this.#resolve(fail("connection_timeout"));
    else this.#resolve({ ok: false, failure: this.#failed ?? { detail: "dns_timeout" } });
  }

  #close(): void {
    this.#over = true;
    this.#endWait();
    for (const attempt of this.#running) attempt.cancel();
    this.#running.clear();
    this.#options.limit.forget();
  }
}
