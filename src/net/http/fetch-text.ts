import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { limitInterim } from "./exchange.ts";

/** A file to fetch, and what is known of it. */
export interface FetchOrder {
  /** `http` or `https`, perhaps with a user and a password for Basic. */
  readonly url: string;
  /** PEM texts of the only roots to trust; those of the program when absent. */
  readonly ca?: readonly string[];
  /** What the last answer said of itself. */
  readonly etag?: string;
  readonly lastModified?: string;
  /** The field Accept. Default: that of PAC files. */
  readonly accept?: string;
  readonly maxBytes: number;
  /** Default: 5. */
  readonly maxRedirects?: number;
  /** For all of it, redirects included. */
  readonly ms: number;
  /** Hears how much has come, and how much there is, where the answer says so. */
  readonly onBytes?: (bytes: number, total: number | undefined) => void;
}

export type Fetched =
  | {
      readonly kind: "content";
      readonly bytes: Uint8Array;
      readonly etag: string | undefined;
      readonly lastModified: string | undefined;
    }
  | { readonly kind: "unchanged" }
  /** `why` continues a sentence: `answered with 404`. Without URLs: they may have a password. */
  | { readonly kind: "failed"; readonly why: string };

const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Fetches a small file. Never through a proxy, whatever the environment says: it
 * may be this very proxy. Follows redirects, but not from TLS to clear text.
 */
export async function fetchText(order: FetchOrder): Promise<Fetched> {
  const signal = AbortSignal.timeout(order.ms);
  let url = new URL(order.url);
  const { maxRedirects = MAX_REDIRECTS } = order;
  for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
    const step = await ask(url, order, signal);
    if (step.kind !== "redirect") return step;
    const next = URL.canParse(step.location, url.href) ? new URL(step.location, url) : undefined;
    if (next === undefined || !/^https?:$/.test(next.protocol)) return fail("redirects to something that is no URL");
    if (url.protocol === "https:" && next.protocol === "http:") return fail("redirects from TLS to clear text");
    if (next.origin !== url.origin) next.username = next.password = "";
    else if (next.username === "") [next.username, next.password] = [url.username, url.password];
    url = next;
  }
  return fail(maxRedirects === 0 ? "redirects, which is not followed" : `redirects more than ${maxRedirects} times`);
}

type Step = Fetched | { readonly kind: "redirect"; readonly location: string };

function ask(url: URL, order: FetchOrder, signal: AbortSignal): Promise<Step> {
  const { protocol, host, pathname, search } = url;
  const isSecure = protocol === "https:";
  const request = isSecure ? requestHttps : requestHttp;
  return new Promise<Step>((resolve, reject) => {
    const options = {
      method: "GET",
      headers: listFields(url, order),
      signal,
      // A connection of its own: the next time is in an hour.
      agent: false as const,
      ...(isSecure && order.ca !== undefined && { ca: [...order.ca] }),
    };
    const asked = request(new URL(`${protocol}//${host}${pathname}${search}`), options, (response) => {
      read(response, order).then(resolve, reject);
    });
    limitInterim(asked);
    asked.on("error", reject);
    asked.end();
  }).catch((error: unknown) => fail(explain(error, signal, order.ms)));
}

function listFields({ username, password }: URL, { etag, lastModified, accept }: FetchOrder): Record<string, string> {
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    Accept: accept ?? "application/x-ns-proxy-autoconfig, application/x-javascript-config, */*;q=0.5",
    "Accept-Encoding": "identity",
    "User-Agent": "penstock",
    ...(username !== "" && { Authorization: `Basic ${Buffer.from(login).toString("base64")}` }),
    ...(etag !== undefined && { "If-None-Match": etag }),
    ...(lastModified !== undefined && { "If-Modified-Since": lastModified }),
  };
}

async function read(response: IncomingMessage, { maxBytes, etag, lastModified, onBytes }: FetchOrder): Promise<Step> {
  const { statusCode: status = 0, headers } = response;
  const give = (step: Step): Step => {
    response.destroy();
    return step;
  };
  if (REDIRECTS.has(status) && headers.location !== undefined)
    return give({ kind: "redirect", location: headers.location });
  if (status === 304 && (etag ?? lastModified) !== undefined) return give({ kind: "unchanged" });
  if (status !== 200) return give(fail(`answered with ${status}`));
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") return give(fail("answered with a compressed file, which was not asked for"));
  const chunks: Uint8Array[] = [];
  let length = 0;
  const { "content-length": announced } = headers;
  const total = announced === undefined ? undefined : Number(announced);
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) return give(fail(`is larger than ${maxBytes / 1024 / 1024} MiB`));
    chunks.push(chunk);
    onBytes?.(length, total);
  }
  if (!response.complete) return fail("ended before its end");
  return {
    kind: "content",
    bytes: Buffer.concat(chunks),
    etag: headers.etag,
    lastModified: headers["last-modified"],
  };
}

function explain(error: unknown, signal: AbortSignal, ms: number): string {
  if (signal.aborted) return `did not arrive within ${ms / 1000} s`;
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
  return `cannot be fetched: ${code ?? (error instanceof Error ? error.name : "unknown error")}`;
}

function fail(why: string): { readonly kind: "failed"; readonly why: string } {
  return { kind: "failed", why };
}
