import { parseIp } from "../../address/ip.ts";
import { decodeDnsReply, type DnsQuestion, type DnsReply, encodeDnsQuestion } from "../../protocol/dns/message.ts";
import { HeldBytes } from "../../protocol/held-bytes.ts";
import { readErrorCode } from "../../error-code.ts";
import { type ConnectAttempt, connectTcp } from "../runtime/connect.ts";
import type { ResolvConf } from "./resolv-conf.ts";

/** The answer of the name servers about one type of one absolute name. */
export type NameAnswer =
  /** Addresses, 4 or 16 bytes each, at least one. `ttl` in seconds. */
  | { readonly kind: "found"; readonly addresses: readonly Uint8Array[]; readonly ttl: number }
  /** The name does not exist. */
  | { readonly kind: "no_name" }
  /** The name may exist, but not with that type. */
  | { readonly kind: "no_data" }
  /** No server gave an answer; `note` is a word such as `ESERVFAIL`, or `ETIMEOUT` when all were silent. */
  | { readonly kind: "trouble"; readonly note: string };

/** Asks a question, and calls `done` once, never before it returns. The function that it returns gives the question up. */
export type AskServers = (
  question: Omit<DnsQuestion, "id">,
  conf: ResolvConf,
  done: (answer: NameAnswer) => void,
) => () => void;

/** Milliseconds before the next server is asked too, while the one before is silent; doubled each round. */
const FIRST_PATIENCE_MS = 1000;

/** RFC 1035 §4.1.1. */
const NO_SUCH_NAME = 3;
const troubles: readonly (string | undefined)[] = [
  undefined,
  "EFORMERR",
  "ESERVFAIL",
  undefined,
  "ENOTIMP",
  "EREFUSED",
];

/** Asks the name servers over UDP, and over TCP for what does not fit. `port` differs from 53 only in tests. */
export function createAskServers(port = 53): AskServers {
  let turn = 0;
  return (question, conf, done) => {
    const first = conf.rotate ? turn++ % conf.servers.length : 0;
    const inquiry = new Inquiry(question, conf, port, first, done);
    inquiry.start();
    return () => inquiry.cancel();
  };
}

/** A socket or connection on which an answer can come. */
interface Exchange {
  close(): void;
}

/**
 * One question. Servers are asked one after the other, and those asked before
 * may still answer. Every server is asked from a port of its own and with an id
 * of its own, which makes answers hard to forge (RFC 5452).
 */
class Inquiry {
  readonly #question: Omit<DnsQuestion, "id">;
  readonly #conf: ResolvConf;
  readonly #port: number;
  readonly #first: number;
  readonly #done: (answer: NameAnswer) => void;
  readonly #open = new Set<Exchange>();
  /** By server: repeats the question over the open socket. */
  readonly #repeats = new Map<string, { readonly exchange: Exchange; readonly send: () => void }>();
  #sent = 0;
  #timer: Timer | undefined;
  #over = false;
  #trouble: string | undefined;
  /** The addresses of a truncated message, in case that TCP fails. */
  #partial: NameAnswer | undefined;

  constructor(
    question: Omit<DnsQuestion, "id">,
    conf: ResolvConf,
    port: number,
    first: number,
    done: (answer: NameAnswer) => void,
  ) {
    this.#question = question;
    this.#conf = conf;
    this.#port = port;
    this.#first = first;
    this.#done = done;
  }

  start(): void {
    this.#send();
  }

  cancel(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    for (const exchange of this.#open) exchange.close();
    this.#open.clear();
  }

  /** Asks the next server, and sets the timer for the one after it. */
  #send(): void {
    const { servers, attempts, timeoutMs, useTcp } = this.#conf;
    clearTimeout(this.#timer);
    if (this.#sent >= servers.length * attempts) {
      this.#timer = setTimeout(() => this.#giveUp(), timeoutMs);
      return;
    }
    const server = servers[(this.#first + this.#sent) % servers.length] ?? "";
    const round = Math.floor(this.#sent / servers.length);
    this.#sent += 1;
    this.#timer = setTimeout(() => this.#send(), Math.min(timeoutMs, FIRST_PATIENCE_MS * 2 ** round));
    if (useTcp) this.#askTcp(server);
    else void this.#askUdp(server);
  }

  async #askUdp(server: string): Promise<void> {
    const before = this.#repeats.get(server);
    if (before !== undefined && this.#open.has(before.exchange)) {
      try {
        before.send();
      } catch (error) {
        this.#fail(before.exchange, readErrorCode(error) ?? "EUNKNOWN");
      }
      return;
    }
    const question = { ...this.#question, id: randomId() };
    let exchange: Exchange | undefined;
    const fail = (code = "EUNKNOWN"): void => this.#fail(exchange, code);
    try {
      // Bun makes the socket at once but gives a promise.
      const socket = await Bun.udpSocket({
        connect: { hostname: server, port: this.#port },
        socket: {
          data: (_, bytes) => this.#hear(exchange, server, decodeDnsReply(bytes, question), false),
          error: (...args: unknown[]) => fail(args.map(readErrorCode).find((code) => code !== undefined)),
        },
      });
      exchange = socket;
      if (this.#over) socket.close();
      else {
        this.#open.add(socket);
        const message = encodeDnsQuestion(question);
        socket.send(message);
        this.#repeats.set(server, { exchange: socket, send: () => socket.send(message) });
      }
    } catch (error) {
      fail(readErrorCode(error));
    }
  }

  #askTcp(server: string): void {
    // `Ip` has no zone id: a server with one is asked over UDP only.
    const ip = parseIp(server);
    if (ip === undefined) {
      queueMicrotask(() => this.#fail(undefined, "EAFNOSUPPORT"));
      return;
    }
    const question = { ...this.#question, id: randomId() };
    let attempt: ConnectAttempt | undefined;
    const exchange: Exchange = { close: () => attempt?.cancel() };
    this.#open.add(exchange);
    attempt = connectTcp({ ip, port: this.#port }, (result) => {
      if (!result.ok) {
        this.#fail(exchange, result.code);
        return;
      }
      const { conn } = result;
      exchange.close = () => conn.reset();
      if (this.#over) {
        conn.reset();
        return;
      }
      const held = new HeldBytes();
      conn.attach({
        data: (chunk) => {
          const received = held.append(chunk);
          const [high = 0, low = 0] = received;
          const end = 2 + (high << 8) + low;
          if (received.length < Math.max(end, 2)) return;
          this.#hear(exchange, server, decodeDnsReply(received.subarray(2, end), question), true);
        },
        end: () => this.#fail(exchange, "ECONNRESET"),
        drain: () => {},
        close: () => this.#fail(exchange, "ECONNRESET"),
      });
      const message = encodeDnsQuestion(question);
      conn.write(Buffer.concat([Uint8Array.of(message.length >> 8, message.length & 0xff), message]));
    });
  }

  #hear(exchange: Exchange | undefined, server: string, reply: DnsReply, whole: boolean): void {
    if (this.#over) return;
    if (reply.kind === "other") {
      if (whole) this.#fail(exchange, "EBADRESP");
      return;
    }
    const answer = readReply(reply);
    if (reply.truncated && !whole) {
      if (answer.kind === "found") this.#partial ??= answer;
      this.#close(exchange);
      this.#askTcp(server);
    } else if (answer.kind === "trouble") this.#fail(exchange, answer.note);
    else this.#end(answer);
  }

  /** A server failed: asks the next one at once, or gives up when all others failed, too. */
  #fail(exchange: Exchange | undefined, code: string): void {
    if (exchange !== undefined && !this.#open.has(exchange)) return;
    this.#close(exchange);
    if (this.#over) return;
    this.#trouble ??= code;
    const { servers, attempts } = this.#conf;
    if (this.#sent < servers.length * attempts) this.#send();
    else if (this.#open.size === 0) this.#giveUp();
  }

  #close(exchange: Exchange | undefined): void {
    if (exchange === undefined) return;
    this.#open.delete(exchange);
    exchange.close();
  }

  #giveUp(): void {
    const silent = this.#open.size > 0;
    this.#end(this.#partial ?? { kind: "trouble", note: silent ? "ETIMEOUT" : (this.#trouble ?? "ETIMEOUT") });
  }

  #end(answer: NameAnswer): void {
    if (this.#over) return;
    this.cancel();
    this.#done(answer);
  }
}

function readReply({ rcode, addresses, ttl }: Extract<DnsReply, { kind: "reply" }>): NameAnswer {
  if (addresses.length > 0) return { kind: "found", addresses, ttl };
  if (rcode === 0) return { kind: "no_data" };
  return rcode === NO_SUCH_NAME ? { kind: "no_name" } : { kind: "trouble", note: troubles[rcode] ?? `rcode ${rcode}` };
}

function randomId(): number {
  const [id = 0] = crypto.getRandomValues(new Uint16Array(1));
  return id;
}
