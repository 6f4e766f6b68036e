import type { Conn } from "../conn/conn.ts";
import { readMessage } from "../conn/read-message.ts";
import { moveToRuntime } from "../runtime/move-to-runtime.ts";
import type { ServerTls } from "../runtime/server-tls.ts";
import { startServerTls } from "../runtime/start-server-tls.ts";
import type { Served, ServedState } from "./connection-table.ts";
import {
  createServedRequestParser,
  HEAD_LIMITS,
  MAX_BODY_BYTES,
  type ServedRequest,
  toWebRequest,
} from "./http-message.ts";
import { ResponseWriter } from "./response-writer.ts";
import { encodeChunk, encodeLastChunk } from "../../protocol/http1/chunked-encoder.ts";
import { serveUpgraded, Upgrade } from "./upgrade.ts";
import { formatHead, formatSwitch, isStream } from "./write-response.ts";

/** Answers a request, or upgrades its connection. A throw or rejection ends this connection only. */
export type Handle = (request: Request, upgrade: Upgrade) => Response | Promise<Response>;

/** Milliseconds. A client cannot extend them. */
export interface ServedDeadlines {
  /** From the accept to the end of the first request. */
  readonly requestMs: number;
  /** From an answer to the end of the next request. */
  readonly idleMs: number;
  /** From the request to the last byte of the answer, unless it is a stream. */
  readonly answerMs: number;
  /** From the last answer to the client's FIN. */
  readonly lingerMs: number;
}

export interface ServedOptions {
  readonly handle: Handle;
  readonly deadlines: ServedDeadlines;
  readonly reportBug: (error: unknown) => void;
  /** Whether the server is shutting down: no connection is kept. */
  readonly isEnding: () => boolean;
  /** What a new connection begins with: a TLS handshake, or its first request. */
  readonly secure: () => ServerTls | undefined;
}

/** A connection of the server: requests in turn, each with its deadline. */
export class ServedConnection implements Served {
  state: ServedState = "waiting";
  readonly peer: string;
  #conn: Conn;
  /** Ends a handshake, during which nobody can close the connection. */
  readonly #evicted = new AbortController();
  readonly #options: ServedOptions;

  constructor(conn: Conn, peer: string, options: ServedOptions) {
    this.#conn = conn;
    this.peer = peer;
    this.#options = options;
  }

  /** Closes with FIN while waiting: RST could destroy the last answer before the client has read it. */
  evict(): void {
    this.#evicted.abort();
    if (this.state === "waiting") this.#conn.close();
    if (!this.#conn.closed) this.#conn.reset();
  }

  /** Serves until the connection is over. Never rejects. */
  async serve(): Promise<void> {
    const { deadlines: times, isEnding, reportBug } = this.#options;
    try {
      let ms = times.requestMs;
      const tls = this.#options.secure();
      if (tls !== undefined) {
        const began = performance.now();
        if (!(await this.#handshake(tls, ms))) ms = 0;
        else ms -= performance.now() - began;
      }
      while (ms > 0 && (await this.#serveOne(ms))) {
        if (isEnding()) break;
        // Requests that came together must not keep everything else from its turn.
        if (this.#conn.unreadBytes > 0) await new Promise((resolve) => setImmediate(resolve));
        ms = times.idleMs;
      }
      if (!this.#conn.closed) await this.#linger();
    } catch (error) {
      reportBug(error);
    }
    if (!this.#conn.closed) this.#conn.reset();
  }

  /** Makes the connection an encrypted one; false when it is over. */
  async #handshake(tls: ServerTls, ms: number): Promise<boolean> {
    const { signal } = this.#evicted;
    const socket = await moveToRuntime(this.#conn);
    if (socket === undefined) return false;
    this.#conn = socket;
    if (signal.aborted) return false;
    const shaken = await startServerTls(socket, tls, ms, signal);
    if (shaken.conn !== undefined) this.#conn = shaken.conn;
    if (shaken.ok) return !signal.aborted;
    if (shaken.conn === undefined || signal.aborted) return false;
    this.state = "answering";
    await this.#tell(undefined, refuse(shaken.kind), false);
    return false;
  }

  /** True when another request may follow. */
  async #serveOne(ms: number): Promise<boolean> {
    this.state = "waiting";
    const read = await readMessage(
      this.#conn,
      createServedRequestParser(() => this.#conn.write(CONTINUE)),
      {
        deadlineMs: ms,
        maxBytes: HEAD_LIMITS.maxBytes + MAX_BODY_BYTES,
      },
    );
    switch (read.kind) {
      case "done":
        // It may have been evicted in the turn in which the request came: then nothing comes of it.
        if (this.#evicted.signal.aborted) return false;
        this.state = SAFE_METHODS.has(read.value.head.method) ? "answering" : "acting";
        return this.#answer(read.value);
      case "bad":
      case "too_large":
        this.state = "answering";
        await this.#tell(undefined, refuse(read.kind === "bad" ? read.code : "too_large"), false);
        return false;
      case "timeout":
      case "closed":
        this.#conn.close();
        return false;
      default:
        return read satisfies never;
    }
  }

  async #answer(request: ServedRequest): Promise<boolean> {
    const web = toWebRequest(request);
    if (typeof web === "string") return this.#tell(request, refuse(web), false);
    const upgrade = new Upgrade(this.peer);
    const response = await this.#options.handle(web, upgrade);
    if (upgrade.accepted !== undefined) return this.#upgrade(upgrade.accepted);
    return this.#tell(request, response, request.keeps && !this.#options.isEnding());
  }

  /** The connection is over with the other protocol. */
  async #upgrade({ fields, protocol }: NonNullable<Upgrade["accepted"]>): Promise<false> {
    this.state = "streaming";
    await serveUpgraded(this.#conn, formatSwitch(fields, new Date()), protocol);
    return false;
  }

  async #tell(request: ServedRequest | undefined, response: Response, keeps: boolean): Promise<boolean> {
    const writer = new ResponseWriter(this.#conn);
    const streams = isStream(response);
    const bodiless = request?.head.method === "HEAD";
    const told =
      streams && !bodiless
        ? await this.#stream(writer, response, keeps && request?.head.version === "1.1")
        : await this.#tellWhole(writer, response, keeps, bodiless);
    writer.release();
    return told && keeps && !writer.ended;
  }

  async #tellWhole(writer: ResponseWriter, response: Response, keeps: boolean, bodiless: boolean): Promise<boolean> {
    const expiring = { expire: () => this.#conn.reset() };
    const turn = this.#conn.timers.deadlines.start(expiring, this.#options.deadlines.answerMs);
    try {
      const body = new Uint8Array(await response.arrayBuffer());
      // To HEAD it would be the length of the answer to GET (RFC 9110 §8.6), which is not known without a body.
      const length = bodiless && response.body === null ? undefined : body.length;
      const head = formatHead(response, { length, chunked: false, keeps, now: new Date() });
      // A client that does not read its answer takes no room from others.
      this.state = "answering";
      return await writer.write(bodiless ? head : Buffer.concat([head, body]));
    } finally {
      this.#conn.timers.deadlines.stop(expiring, turn);
    }
  }

  /** Reads the body as fast as the client takes it, and cancels it when the client leaves. */
  async #stream(writer: ResponseWriter, response: Response, chunked: boolean): Promise<boolean> {
    const { body } = response;
    if (body === null) return false;
    this.state = "streaming";
    const reader = body.getReader();
    const encode = (bytes: Uint8Array): Uint8Array => (chunked ? encodeChunk(bytes) : bytes);
    writer.leavesAtEnd = true;
    writer.whenGone = () => void reader.cancel().catch(() => {});
    if (writer.ended) writer.end();
    const head = formatHead(response, { length: undefined, chunked, keeps: chunked, now: new Date() });
    let next = reader.read();
    // A chunk that is there at once goes out with the head; the head does not wait for a later one.
    const first = await Promise.race([next, Bun.sleep(0)]);
    const begin = first?.done === false ? encode(first.value) : NOTHING;
    let open = await writer.write(Buffer.concat([head, begin]));
    if (first !== undefined) next = first.done ? Promise.resolve(first) : reader.read();
    while (open) {
      const { value, done } = await next;
      if (done) break;
      open = await writer.write(encode(value));
      next = reader.read();
    }
    writer.leavesAtEnd = false;
    if (!open || writer.gone) {
      await reader.cancel().catch(() => {});
      return false;
    }
    return (chunked ? await writer.write(encodeLastChunk()) : true) && chunked;
  }

  /** RFC 9112 §9.6: reads on for a moment after FIN, so that no reset destroys the answer. */
  async #linger(): Promise<void> {
    this.state = "waiting";
    this.#conn.shutdown();
    await readMessage(this.#conn, () => ({ kind: "more" }), {
      deadlineMs: this.#options.deadlines.lingerMs,
      maxBytes: MAX_BODY_BYTES,
    });
    this.#conn.close();
  }
}

/** They change nothing (RFC 9110 §9.2.1): who is cut off asks again. */
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
const NOTHING = new Uint8Array(0);
/** Fits into any socket buffer, so that nothing of it has to be kept. */
const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

function refuse(code: string): Response {
  const why = reasons[code] ?? `This is not a request that is answered here: ${code}.`;
  return new Response(`${why}\n`, {
    status: statuses[code] ?? 400,
    headers: { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" },
  });
}

/** What is said of the beginning of a connection. */
const reasons: Readonly<Record<string, string>> = {
  plain_http: "This speaks TLS. Ask with https:// instead of http://.",
  certificate: "This needs the certificate of a client, and none came that is accepted.",
};

/** Statuses of refusals other than 400. */
const statuses: Readonly<Record<string, number>> = {
  version_not_supported: 505,
  method_not_known: 501,
  certificate: 403,
  too_large: 413,
  body_too_large: 413,
  head_too_large: 431,
  too_many_fields: 431,
  request_line_too_long: 431,
};
