import type { Exchanged, ExchangeOrder } from "../net/http/exchange.ts";
import {
  describeProblem,
  type Directory,
  quoteServer,
  readDirectory,
  readFields,
  readProblemType,
  readRetryAfter,
} from "./answers.ts";
import { type AccountKey, signJws } from "./jws.ts";
import { type AcmeResult, failAcme, succeed } from "./outcome.ts";

export interface SessionOptions {
  /** URL of the directory. */
  readonly directory: string;
  /** PEM texts of the only roots to trust for it; those of the program when absent. */
  readonly ca?: readonly string[] | undefined;
  readonly exchange: (order: ExchangeOrder) => Promise<Exchanged>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Resolves after that time, or when `signal` ends everything. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Ends everything. */
  readonly signal: AbortSignal;
}

/** What the server answered: a map, or a text where no JSON was asked for. */
export interface Answer {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly location: string | undefined;
  readonly retryAfterMs: number | undefined;
}

interface PostOptions {
  readonly key: AccountKey;
  /** The URL of the account; absent for its first request, which shows the key itself. */
  readonly kid?: string | undefined;
  readonly accept?: string;
}

/** Milliseconds for one answer. */
const ANSWER_MS = 30_000;
const MAX_JSON = 64 * 1024;
/** A chain of some certificates has a few KiB. */
const MAX_CHAIN = 256 * 1024;
/** Times that one request is sent with another nonce (RFC 8555 §6.5). */
const MAX_NONCES = 6;
const MAX_SPARE_NONCES = 4;
/** RFC 8555 §6.5.1. */
const NONCE = /^[A-Za-z0-9_-]{1,256}$/;
/** Answers that an order can wait out, one after the other. */
const MAX_STUMBLES = 3;
const TOO_MANY_REQUESTS = 429;
/** Milliseconds between two questions of the same: the least and the most, whatever Retry-After says. */
const POLL_MS = { least: 250, usual: 5000, most: 60_000 } as const;

/** A conversation with the server of an authority: signed requests, each with a nonce of its own. */
export class AcmeSession {
  readonly directory: Directory;
  readonly #options: SessionOptions;
  readonly #nonces: string[] = [];

  private constructor(options: SessionOptions, directory: Directory) {
    this.#options = options;
    this.directory = directory;
  }

  /** Reads the directory. */
  static async open(options: SessionOptions): Promise<AcmeResult<AcmeSession>> {
    const read = await getFields(options, options.directory);
    if (!read.ok) return read;
    const directory = readDirectory(read.value.fields, options.directory);
    return directory.ok ? succeed(new AcmeSession(options, directory.value)) : directory;
  }

  get url(): string {
    return this.#options.directory;
  }

  get signal(): AbortSignal {
    return this.#options.signal;
  }

  get now(): number {
    return this.#options.now();
  }

  wait(ms: number): Promise<void> {
    return this.#options.wait(ms, this.signal);
  }

  /** Reads what needs no signature. */
  get(url: string): Promise<AcmeResult<Answer>> {
    return getFields(this.#options, url);
  }

  /** Sends a signed request; without a payload it reads (POST-as-GET). */
  async post(url: string, payload: object | undefined, options: PostOptions): Promise<AcmeResult<Answer>> {
    const { key, kid, accept } = options;
    const identity = kid === undefined ? { jwk: key.jwk } : { kid };
    for (let sent = 0; sent < MAX_NONCES; sent += 1) {
      const nonce = await this.#takeNonce();
      if (!nonce.ok) return nonce;
      const jws = await signJws(key.privateKey, { nonce: nonce.value, url, ...identity }, payload);
      const answer = await this.#options.exchange({
        method: "POST",
        url,
        headers: { "Content-Type": "application/jose+json", Accept: accept ?? "application/json" },
        body: JSON.stringify(jws),
        ca: this.#options.ca,
        maxBytes: accept === undefined ? MAX_JSON : MAX_CHAIN,
        ms: ANSWER_MS,
        signal: this.signal,
      });
      if (answer.kind === "answered") this.#keepNonce(answer.header("replay-nonce"));
      const judged = judge(answer, url, this.now, accept === undefined);
      if (judged.ok || judged.fault.type !== "badNonce") return judged;
    }
    return failAcme(`the server refused ${MAX_NONCES} nonces one after the other (badNonce)`);
  }

  /**
   * Reads the same again and again until `isOver`, as often as the server says.
   * Some failures in a row are waited out.
   */
  async poll<T>(
    url: string,
    options: PostOptions,
    {
      read,
      isOver,
      ms,
      what,
    }: {
      readonly read: (fields: Answer["fields"]) => AcmeResult<T>;
      readonly isOver: (value: T) => boolean;
      /** For all of it. */
      readonly ms: number;
      /** What is waited for, for the message. */
      readonly what: string;
    },
  ): Promise<AcmeResult<T>> {
    const until = this.now + ms;
    let stumbles = 0;
    let waitedMs = 0;
    // What takes no time is over by then, and Retry-After of the first answer would cost seconds.
    await this.wait(POLL_MS.least);
    for (let asked = 0; ; asked += 1) {
      if (this.signal.aborted) return failAcme("it was given up");
      const answer = await this.post(url, undefined, options);
      let retryAfterMs: number | undefined;
      if (answer.ok) {
        stumbles = 0;
        const value = read(answer.value.fields);
        if (!value.ok || isOver(value.value)) return value;
        ({ retryAfterMs } = answer.value);
      } else {
        stumbles += 1;
        ({ retryAfterMs } = answer.fault);
        const { status = 500 } = answer.fault;
        const passes = status >= 500 || status === TOO_MANY_REQUESTS;
        // Whoever asks to be left alone for longer is not asked before.
        if (!passes || stumbles > MAX_STUMBLES || (retryAfterMs ?? 0) > POLL_MS.most) return answer;
      }
      const usual = Math.min(POLL_MS.usual, POLL_MS.least * 2 ** asked);
      const pause = Math.min(Math.max(retryAfterMs ?? usual, POLL_MS.least), POLL_MS.most);
      // The clock may be set back meanwhile.
      if (this.now + pause > until || waitedMs > ms)
        return answer.ok ? failAcme(`${what} did not come within ${Math.round(ms / 1000)} s`) : answer;
      await this.wait(pause);
      waitedMs += pause;
    }
  }

  async #takeNonce(): Promise<AcmeResult<string>> {
    const spare = this.#nonces.pop();
    if (spare !== undefined) return succeed(spare);
    const answer = await this.#options.exchange({
      method: "HEAD",
      url: this.directory.newNonce,
      headers: {},
      ca: this.#options.ca,
      maxBytes: MAX_JSON,
      ms: ANSWER_MS,
      signal: this.signal,
    });
    if (answer.kind === "failed") return failTransport(this.directory.newNonce, answer.why);
    const nonce = answer.header("replay-nonce");
    if (answer.status >= 400 || nonce === undefined || !NONCE.test(nonce))
      return failAcme(`the server gave no nonce (status ${answer.status})`, {
        status: answer.status,
        ...readPause(answer.header("retry-after"), this.now),
      });
    return succeed(nonce);
  }

  #keepNonce(nonce: string | undefined): void {
    if (nonce === undefined || !NONCE.test(nonce)) return;
    this.#nonces.push(nonce);
    if (this.#nonces.length > MAX_SPARE_NONCES) this.#nonces.shift();
  }
}

async function getFields(options: SessionOptions, url: string): Promise<AcmeResult<Answer>> {
  const { exchange, ca, signal, now } = options;
  const headers = { Accept: "application/json" };
  const order = { method: "GET" as const, url, headers, ca, maxBytes: MAX_JSON, ms: ANSWER_MS, signal };
  return judge(await exchange(order), url, now(), true);
}

/** Takes an answer apart: a problem is a fault, and JSON that is no map, too. */
function judge(answer: Exchanged, url: string, now: number, wantsJson: boolean): AcmeResult<Answer> {
  if (answer.kind === "failed") return failTransport(url, answer.why);
  const { status } = answer;
  const body = answer.body.toString();
  const pause = readPause(answer.header("retry-after"), now);
  const fields = readFields(body);
  if (status < 200 || status > 299) {
    const type = fields === undefined ? "" : readProblemType(fields);
    const isProblem = answer.header("content-type")?.startsWith("application/problem+json") === true;
    const text = isProblem ? describeProblem(fields) : undefined;
    const redirects = status >= 300 && status < 400 ? ", a redirect, which is not followed" : "";
    const why = `the server answered ${new URL(url).pathname} with ${status}${redirects}${text === undefined || text === "" ? "" : ` (${text})`}`;
    return failAcme(quoteServer(why), { status, ...(type !== "" && { type }), ...pause });
  }
  if (wantsJson && fields === undefined)
    return failAcme(quoteServer(`the server answered ${new URL(url).pathname} with something that is no JSON`));
  return succeed({
    fields: fields ?? {},
    text: body,
    location: answer.header("location"),
    retryAfterMs: pause.retryAfterMs,
  });
}

function readPause(value: string | undefined, now: number): { readonly retryAfterMs?: number } {
  const retryAfterMs = readRetryAfter(value, now);
  return retryAfterMs === undefined ? {} : { retryAfterMs };
}

function failTransport(url: string, why: string): ReturnType<typeof failAcme> {
  return failAcme(`the server ${new URL(url).host} ${why}`, { isAway: true });
}
