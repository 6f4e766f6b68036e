import { type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";

/** One request to a server that is not trusted. */
export interface ExchangeOrder {
  readonly method: "GET" | "HEAD" | "POST";
  /** `http` or `https`, without credentials. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM texts of the only roots to trust; those of the program when absent. */
  readonly ca?: readonly string[] | undefined;
  readonly maxBytes: number;
  /** For all of it. */
  readonly ms: number;
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

export type Exchanged =
  | {
      readonly kind: "answered";
      readonly status: number;
      /** By lower-case name; of one that is repeated the first. */
      header(name: string): string | undefined;
      readonly body: string;
    }
  /** `why` continues a sentence: `cannot be reached: ECONNREFUSED`. */
  | { readonly kind: "failed"; readonly why: string };

/** Informational responses before the final one: room for early hints, and an end for a flood. */
const MAX_INTERIM = 16;

/** Gives a request up when informational responses do not end: each one is an event of this thread, also past the deadline. */
export function limitInterim(asked: ClientRequest): void {
  let left = MAX_INTERIM;
  const take = (): void => {
    left -= 1;
    if (left === -1) asked.destroy(Object.assign(new Error("Endless"), { code: "too many informational responses" }));
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
      // A connection of its own: nothing is kept open between two renewals.
      agent: false as const,
      ...(isSecure && ca !== undefined && { ca: [...ca] }),
    };
    const asked = request(url, options, (response) => {
      read(response, order.maxBytes).then(resolve, reject);
    });
    limitInterim(asked);
    asked.on("error", reject);
    asked.end(bytes);
  }).catch((error: unknown): Exchanged => {
    const why = order.signal?.aborted === true ? "was given up" : explain(error, deadline, ms);
    return { kind: "failed", why };
  });
}

async function read(response: IncomingMessage, maxBytes: number): Promise<Exchanged> {
  const { statusCode: status = 0, headers } = response;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) {
      response.destroy();
      return { kind: "failed", why: `answered with more than ${maxBytes / 1024} KiB` };
    }
    chunks.push(chunk);
  }
  if (!response.complete) return { kind: "failed", why: "ended its answer too early" };
  return {
    kind: "answered",
    status,
    header(name) {
      const value = headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    body: Buffer.concat(chunks).toString(),
  };
}

function explain(error: unknown, deadline: AbortSignal, ms: number): string {
  if (deadline.aborted) return `did not answer within ${ms / 1000} s`;
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
  return `cannot be reached: ${code ?? (error instanceof Error ? error.name : "unknown error")}`;
}
