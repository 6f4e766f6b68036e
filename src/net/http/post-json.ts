import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { limitInterim } from "./exchange.ts";

export interface PostOrder {
  /** `http` or `https`, without credentials. */
  readonly url: string;
  readonly body: string;
  /** Besides those that say what the body is. */
  readonly headers: Readonly<Record<string, string>>;
  /** PEM texts of the only roots to trust; those of the program when absent. */
  readonly ca?: readonly string[] | undefined;
  /** For all of it. */
  readonly ms: number;
}

export type Posted =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly retryAfter: string | undefined;
      readonly body: string;
    }
  /** `why` continues a sentence: `cannot be reached: ECONNREFUSED`. */
  | { readonly kind: "failed"; readonly why: string };

/** Bytes of an answer that are read. */
const MAX_ANSWER = 64 * 1024;

/**
 * Sends JSON and reads the answer. Never through a proxy, whatever the environment
 * says: it may be this very proxy. Follows no redirect.
 */
export function postJson({ url, body, headers, ca, ms }: PostOrder): Promise<Posted> {
  const signal = AbortSignal.timeout(ms);
  const { protocol } = new URL(url);
  const isSecure = protocol === "https:";
  const request = isSecure ? requestHttps : requestHttp;
  const bytes = Buffer.from(body);
  return new Promise<Posted>((resolve, reject) => {
    const options = {
      method: "POST",
      headers: {
        "User-Agent": "penstock",
        ...headers,
        "Content-Type": "application/json",
        "Content-Length": String(bytes.length),
      },
      signal,
      // A connection of its own: the next time is in some seconds at the earliest.
      agent: false as const,
      ...(isSecure && ca !== undefined && { ca: [...ca] }),
    };
    const asked = request(url, options, (response) => {
      read(response).then(resolve, reject);
    });
    limitInterim(asked);
    asked.on("error", reject);
    asked.end(bytes);
  }).catch((error: unknown): Posted => ({ kind: "failed", why: explain(error, signal, ms) }));
}

async function read(response: IncomingMessage): Promise<Posted> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > MAX_ANSWER) break;
    chunks.push(chunk);
  }
  response.destroy();
  const { statusCode: status = 0, headers } = response;
  return { kind: "answered", status, retryAfter: headers["retry-after"], body: Buffer.concat(chunks).toString() };
}

function explain(error: unknown, signal: AbortSignal, ms: number): string {
  if (signal.aborted) return `did not answer within ${ms / 1000} s`;
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
  return `cannot be reached: ${code ?? (error instanceof Error ? error.name : "unknown error")}`;
}
