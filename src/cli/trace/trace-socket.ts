import { type Endpoint, formatEndpoint } from "../../address/endpoint.ts";
import { type Host, hostFromIp } from "../../address/host.ts";
import { parseIp } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { TappedConn } from "../../net/conn/tapped-conn.ts";
import type { Lookup, Lookups, Resolver } from "../../net/dns/resolver.ts";
import type { Connect } from "../../net/runtime/connect.ts";
import type { PacketEndpoint } from "../../protocol/pcapng/ip-packet.ts";
import { raceConnect, RFC_8305_PACE } from "../../proxy/dial/connect-race.ts";
import type { TimeLimit } from "../../net/conn/time-limit.ts";
import { explainFailure } from "../../proxy/explain-failure.ts";
import type { Failure } from "../../proxy/failure.ts";
import { lookUpName } from "../../proxy/resolve/resolve-host.ts";
import { Recording } from "./recording.ts";
import type { AttemptRecord, TraceRecord, TraceStage } from "./trace-record.ts";

/** What a trace needs of the world. */
export interface TraceMeans {
  readonly resolver: Resolver;
  readonly connect: Connect;
}

/** Milliseconds for the server to close what is over. */
const FAREWELL_MS = 1000;

/** Why a trace ended early; undefined when it did not. */
export type Stop = { readonly stage: TraceStage; readonly text: string } | undefined;
export type Step<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly stop: NonNullable<Stop> };

/** The TCP connection of a trace, from the questions to DNS to its end. Records everything that passes. */
export class TraceSocket {
  /** Whether the server sent more than a trace keeps. */
  overflowed = false;
  readonly #record: TraceRecord;
  readonly #means: TraceMeans;
  readonly #limit: TimeLimit;
  readonly #began = performance.now();
  #socket: Conn | undefined;

  constructor(record: TraceRecord, means: TraceMeans, limit: TimeLimit) {
    this.#record = record;
    this.#means = means;
    this.#limit = limit;
  }

  /** Milliseconds since the beginning. */
  readonly now = (): number => performance.now() - this.#began;

  /** `about`: whose the endpoint is, where it is not the target's. */
  async connect({ host, port }: Endpoint, about?: string): Promise<Step<Conn>> {
    const { connect } = this.#means;
    const race = await raceConnect(this.ask(host), {
      port,
      source: undefined,
      refuse: () => undefined,
      connect: (target, done) => {
        const address = formatEndpoint({ host: hostFromIp(target.ip), port });
        const attempt: AttemptRecord = { at: this.now(), address, endedAt: undefined, code: undefined };
        this.#record.attempts.push(attempt);
        return connect(target, (result) => {
          attempt.endedAt = this.now();
          if (!result.ok) attempt.code = result.code;
          done(result);
        });
      },
      limit: this.#limit,
      pace: RFC_8305_PACE,
    });
    if (!race.ok) {
      const stage = race.failure.detail.startsWith("dns_") ? "resolve" : "connect";
      return { ok: false, stop: { stage, text: describeFailing(race.failure, about) } };
    }
    const { conn } = race.value;
    const recording = new Recording();
    this.#record.wire = {
      recording,
      local: readEnd(conn.localAddress, conn.localPort),
      remote: readEnd(conn.remoteAddress, conn.remotePort),
    };
    this.#socket = this.tap(conn, recording);
    return { ok: true, value: this.#socket };
  }

  /** Records what passes through a connection. */
  tap(conn: Conn, recording: Recording): TappedConn {
    return new TappedConn(conn, {
      written: (bytes) => void recording.add(this.now(), "client", bytes),
      read: (bytes) => {
        if (!recording.add(this.now(), "server", bytes)) this.#overflow(conn);
      },
      ended: () => {
        recording.endedAt = this.now();
      },
    });
  }

  /** A server that never stops ends the trace, and not the memory. */
  #overflow(conn: Conn): void {
    this.overflowed = true;
    // Whoever reads it has this chunk to come.
    queueMicrotask(() => conn.reset());
  }

  /** Asks DNS for both families; an address is its own answer. */
  ask(host: Host): { family: 4 | 6; answer: Lookup | Promise<Lookup> }[] {
    if (host.kind === "ip") return [{ family: host.ip.family, answer: { ok: true, name: "", addresses: [host.ip] } }];
    // Nothing is gained by giving up a question: the trace ends with the process.
    const lookups = lookUpName(host, this.#means.resolver);
    return ([6, 4] as const).map((family) => ({ family, answer: this.#lookUp(host.text, family, lookups) }));
  }

  async #lookUp(name: string, family: 4 | 6, lookups: Lookups): Promise<Lookup> {
    const at = this.now();
    const lookup = await lookups[family];
    const answer = lookup.ok ? lookup.addresses.map(({ text }) => text) : lookup.note;
    this.#record.lookups.push({ at, name, family, answeredAt: this.now(), answer });
    return lookup;
  }

  /** Lets the other side close, and closes anyway. */
  async close(): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined || socket.closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#record.failure === undefined ? FAREWELL_MS : 0);
    socket.whenClosed = resolve;
    await promise;
    clearTimeout(timer);
    socket.reset();
  }
}

function readEnd(address: string, port: number): PacketEndpoint {
  const ip = parseIp(address);
  if (ip === undefined) throw new Error(`A socket with the address ${address}`);
  return { ip, port };
}

/** How a trace calls the proxy that it goes through: there is only one. */
export const THE_PROXY = "the proxy";

/** `about`: whom it is about, where that is not the target. */
export function describeFailing(failure: Failure, about: string | undefined): string {
  const text = explainFailure(failure, about).replace(/\.$/, "");
  return failure.note === undefined ? text : `${text} (${failure.note})`;
}
