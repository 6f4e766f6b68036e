import { formatEndpoint } from "../../address/endpoint.ts";
import { hostFromIp } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Connect, ConnectAttempt } from "../../net/runtime/connect.ts";
import type { Lookup, Lookups } from "../../net/dns/resolver.ts";
import { fail, type Failure, type Outcome, succeed } from "../failure.ts";
import { judgeConnectError, moreTelling } from "./connect-error.ts";
import { explainLookups, RESOLUTION_DELAY_MS } from "../resolve/resolve-host.ts";
import type { TraceScope, TraceStep } from "../trace/request-trace.ts";
import type { TimeLimit } from "../../net/conn/time-limit.ts";

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
  readonly limit: TimeLimit;
  readonly pace: RacePace;
  /** Undefined when the request is not traced. */
  readonly trace?: TraceScope | undefined;
}

/** Milliseconds. */
export interface RacePace {
  /** How long the first attempt waits for IPv6 addresses when those of IPv4 came first (RFC 8305 §3). */
  readonly resolutionDelayMs: number;
  /** How long an attempt runs before the next one starts beside it (RFC 8305 §5). */
  readonly attemptDelayMs: number;
}

/** The values that RFC 8305 §8 recommends. */
export const RFC_8305_PACE: RacePace = { resolutionDelayMs: RESOLUTION_DELAY_MS, attemptDelayMs: 250 };

/** What a traced attempt ends with that another one was faster than, or that was given up. */
const CANCELLED = "cancelled";

/** Attempts per dial: enough for every sane service, too few to scan a network with one request. */
const MAX_ATTEMPTS = 16;

/** Questions to DNS, answered or not: one for each family. */
export type Questions = readonly { readonly family: 4 | 6; readonly answer: Lookup | Promise<Lookup> }[];

/** Both families of a lookup, in the form of questions: AAAA first, A right after it (RFC 8305 §3). */
export function askFamilies(lookups: Lookups): Questions {
  return [
    { family: 6, answer: lookups[6] },
    { family: 4, answer: lookups[4] },
  ];
}

/** Addresses that are known already, in the form of an answered question. */
export function answerWith(addresses: readonly Ip[]): Questions {
  return [{ family: 6, answer: { ok: true, name: "", addresses } }];
}

/**
 * Connects to the first address that answers (Happy Eyeballs, RFC 8305). The
 * families take turns, IPv6 first. A new attempt starts when the last one failed
 * or has had its time. Refused addresses get no attempt. The first connection
 * cancels all other attempts.
 */
export function raceConnect(questions: Questions, options: RaceOptions): Promise<Outcome<Connected>> {
  return new Promise((resolve) => new ConnectRace(options, resolve).start(questions));
}

class ConnectRace {
  readonly #options: RaceOptions;
  readonly #resolve: (outcome: Outcome<Connected>) => void;
  /** Addresses that wait for an attempt. */
  readonly #waiting: Ip[] = [];
  readonly #running: ConnectAttempt[] = [];
  /** The attempts of a traced request. */
  #steps: TraceStep[] | undefined;
  /** Families whose answer is still to come, and whether IPv6 is one of them. */
  #missing = 0;
  #awaitsSix = false;
  #nextFamily: 4 | 6 = 6;
  #attempts = 0;
  /** Set while the next attempt waits. */
  #timer: Timer | undefined;
  #over = false;
  /** Why attempts failed, why addresses were not tried, and why names gave no address. */
  #failed: Failure | undefined;
  #refused: Failure | undefined;
  #unresolved: Lookup[] | undefined;

  constructor(options: RaceOptions, resolve: (outcome: Outcome<Connected>) => void) {
    this.#resolve = resolve;
    this.#options = options;
  }

  start(questions: Questions): void {
    this.#options.limit.whenOver(() => this.#stop());
    if (!this.#over) {
      for (const { family, answer } of questions) {
        if (answer instanceof Promise) this.#await(family, answer);
        else this.#take(answer);
      }
      this.#proceed();
    }
  }

  #await(family: 4 | 6, answer: Promise<Lookup>): void {
    this.#missing += 1;
    if (family === 6) this.#awaitsSix = true;
    void answer.then((lookup) => {
      this.#missing -= 1;
      if (family === 6) this.#awaitsSix = false;
      this.#take(lookup);
      this.#proceed();
    });
  }

  #take(lookup: Lookup): void {
    if (!lookup.ok) {
      (this.#unresolved ??= []).push(lookup);
      return;
    }
    for (const ip of lookup.addresses) {
      const refusal = this.#options.refuse(ip);
      if (refusal === undefined) this.#waiting.push(ip);
      else this.#refused ??= refusal;
    }
  }

  /** Does what there is to do now: start, wait, or end. */
  #proceed(): void {
    if (this.#over) return;
    const holdBack = this.#attempts === 0 && this.#awaitsSix && this.#waiting.every(({ family }) => family === 4);
    if (this.#timer !== undefined) {
      // Addresses came while another attempt still has its time, or the first one waits for IPv6.
      if (this.#attempts > 0 || holdBack) return;
      this.#endWait();
    }
    if (this.#waiting.length === 0) {
      if (this.#missing === 0 && this.#running.length === 0) this.#end();
    } else if (this.#attempts >= MAX_ATTEMPTS) {
      if (this.#running.length === 0) this.#end();
    } else if (holdBack) {
      this.#wait(this.#options.pace.resolutionDelayMs);
    } else {
      this.#attempt();
    }
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#waiting.length > 0) this.#attempt();
    }, ms);
  }

  #endWait(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #attempt(): void {
    const ip = this.#takeNext();
    if (ip === undefined || this.#attempts >= MAX_ATTEMPTS) return;
    this.#attempts += 1;
    const { connect, port, source } = this.#options;
    const address = { ip, port };
    const step = this.#options.trace === undefined ? undefined : this.#trace(address);
    const attempt = connect(source === undefined ? address : { ip, port, source }, (result) => {
      this.#running.splice(this.#running.indexOf(attempt), 1);
      if (step !== undefined) step.end(result.ok ? undefined : judgeConnectError(result.code).detail);
      if (result.ok) this.#win(result.conn, address);
      else this.#lose(judgeConnectError(result.code));
    });
    this.#running.push(attempt);
    if (this.#waiting.length > 0 || this.#missing > 0) this.#wait(this.#options.pace.attemptDelayMs);
  }

  #trace({ ip, port }: DialledAddress): TraceStep | undefined {
    const step = this.#options.trace?.begin("connect", formatEndpoint({ host: hostFromIp(ip), port }));
    if (step !== undefined) (this.#steps ??= []).push(step);
    return step;
  }

  /** RFC 8305 §4: the families take turns. */
  #takeNext(): Ip | undefined {
    const wanted = this.#nextFamily;
    const at = this.#waiting.findIndex(({ family }) => family === wanted);
    if (at < 0) return this.#waiting.shift();
    this.#nextFamily = wanted === 6 ? 4 : 6;
    return this.#waiting.splice(at, 1)[0];
  }

  #lose(failure: Failure): void {
    this.#failed = moreTelling(this.#failed, failure);
    this.#endWait();
    this.#proceed();
  }

  #win(conn: Conn, address: DialledAddress): void {
    if (this.#over) conn.reset();
    else this.#close(succeed({ conn, address }));
  }

  #end(): void {
    const failure = this.#failed ?? this.#refused ?? explainLookups(this.#unresolved ?? []);
    this.#close({ ok: false, failure });
  }

  /** The time is up, or the client is gone. */
  #stop(): void {
    if (this.#options.limit.over === "client_gone") this.#close(fail("client_gone"));
    else if (this.#running.length > 0) this.#close(fail("connection_timeout"));
    else this.#close({ ok: false, failure: this.#failed ?? { detail: "dns_timeout" } });
  }

  #close(outcome: Outcome<Connected>): void {
    this.#over = true;
    this.#endWait();
    for (const attempt of this.#running) attempt.cancel();
    for (const step of this.#steps ?? []) step.end(CANCELLED);
    this.#running.length = 0;
    this.#options.limit.forget();
    this.#resolve(outcome);
  }
}
