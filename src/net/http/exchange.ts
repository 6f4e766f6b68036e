import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { readErrorCode } from "../../error-code.ts";

/** One request to a server that is not trusted. */
export interface ExchangeOrder {
  readonly method: "GET" | "HEAD" | "POST";
  /** `http` or `https`, without credentials. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM texts of the only roots to trust; those of the program when absent. */
  readonly ca?: readonly string[] | undefined;
  /** A longer body is a failure, or is cut where the order says so. */
  readonly maxBytes: number;
  readonly cutsBody?: true;
  /** For all of it. */
  readonly ms: number;
  /** Ends it early. */
  readonly signal?: AbortSignal;
  /** Whether the body of such an answer is read. Default: always. */
  readonly wants?: (status: number, headers: IncomingHttpHeaders) => boolean;
  /** Hears how much of the body has come, and how much there is, where the answer says so. */
  readonly onBytes?: ((bytes: number, total: number | undefined) => void) | undefined;
}

export type Exchanged =
  | {
      readonly kind: "answered";
      readonly status: number;
      /** By lower-case name; of one that is repeated the first. */
      header(name: string): string | undefined;
      readonly body: Buffer;
    }
  /** `why` continues a sentence: `cannot be reached: ECONNREFUSED`. */
  | { readonly kind: "failed"; readonly fault: ExchangeFault; readonly why: string };

export type ExchangeFault = "away" | "late" | "given up" | "too long" | "cut";

/** Informational responses before the final one: room for early hints, and an end for a flood. */
const MAX_INTERIM = 16;

class EndlessInterim extends Error {}

/** Gives a request up when informational responses do not end: each one is an event of this thread, also past the deadline. */
function limitInterim(asked: ClientRequest): void {
  let left = MAX_INTERIM;
  const take = (): void => {
    left -= 1;
    if (left === -1) asked.destroy(new EndlessInterim());
  };
  asked.on("continue", take).on("information", take);
}

/**
 * Sends a request and reads the whole answer. Never through a proxy, whatever the
 * environment says: it may be this very proxy. Follows no redirect.
 */
export function exchange(order: ExchangeOrder): Promise<Exchanged> {
  const { method, url, headers, body, ca, ms } = order;
  const deadline = AbortSignal.timeout(ms);
  const signal = order.signal === undefined ? deadline : AbortSignal.any([deadline, order.signal]);
  const isSecure = new URL(url).protocol === "https:";
  const request = isSecure ? requestHttps : requestHttp;
  const bytes = body === undefined ? undefined : Buffer.from(body);
  return new Promise<Exchanged>((resolve, reject) => {
    const options = {
      method,
      headers: {
        "User-Agent": "penstock",
        "Accept-Encoding": "identity",
        ...headers,
        ...(bytes && { "Content-Length": String(bytes.length) }),
      },
      signal,
      // A connection of its own: the next time is in some seconds at the earliest.
      agent: false as const,
      ...(isSecure && ca !== undefined && { ca: [...ca] }),
    };
    const asked = request(url, options, (response) => {
      read(response, order).then(resolve, reject);
    });
    limitInterim(asked);
    asked.on("error", reject);
    asked.end(bytes);
  }).catch((error: unknown) => {
    if (order.signal?.aborted === true) return fail("given up", "was given up");
    if (deadline.aborted) return fail("late", `did not answer within ${ms / 1000} s`);
    if (error instanceof EndlessInterim) return fail("away", "sends informational responses without end");
    const word = readErrorCode(error) ?? (error instanceof Error ? error.name : "unknown error");
    return fail("away", `cannot be reached: ${word}`);
  });
}

/** Sends JSON. `headers` are those besides the ones that say what the body is. A long answer is cut after 64 KiB. */
export function postJson(
  order: Pick<ExchangeOrder, "url" | "headers" | "ca" | "ms"> & { readonly body: string },
): Promise<Exchanged> {
  const headers = { Accept: "application/json", ...order.headers, "Content-Type": "application/json" };
  return exchange({ ...order, method: "POST", headers, maxBytes: 64 * 1024, cutsBody: true });
}

async function read(response: IncomingMessage, order: ExchangeOrder): Promise<Exchanged> {
  const { statusCode: status = 0, headers } = response;
  const chunks: Uint8Array[] = [];
  const answer = (): Exchanged => {
    response.destroy();
    return {
      kind: "answered",
      status,
      header(name) {
        const value = headers[name];
        return Array.isArray(value) ? value[0] : value;
      },
      body: Buffer.concat(chunks),
    };
  };
  if (order.wants?.(status, headers) === false) return answer();
  const { "content-length": announced } = headers;
  const total = announced === undefined ? undefined : Number(announced);
  let length = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > order.maxBytes) {
      if (order.cutsBody === true) return answer();
      response.destroy();
      return fail("too long", `answered with more than ${order.maxBytes / 1024} KiB`);
    }
    chunks.push(chunk);
    order.onBytes?.(length, total);
  }
  return response.complete ? answer() : fail("cut", "ended its answer too early");
}

function fail(fault: ExchangeFault, why: string): Exchanged {
  return { kind: "failed", fault, why };
}
