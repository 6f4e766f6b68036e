import { exchange, type ExchangeFault } from "./exchange.ts";

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

async function ask(url: URL, order: FetchOrder, signal: AbortSignal): Promise<Step> {
  const { protocol, host, pathname, search } = url;
  const { ca, maxBytes, ms, onBytes } = order;
  const login = readLogin(url);
  if (login === undefined) return fail("has a user or a password in its URL that cannot be decoded");
  const answer = await exchange({
    method: "GET",
    url: `${protocol}//${host}${pathname}${search}`,
    headers: listFields(login, order),
    ca,
    maxBytes,
    ms,
    signal,
    wants: (status, headers) => status === 200 && (headers["content-encoding"] ?? IDENTITY) === IDENTITY,
    onBytes,
  });
  if (answer.kind === "failed") return fail(describeFault(order)[answer.fault] ?? answer.why);
  const { status } = answer;
  const location = answer.header("location");
  if (REDIRECTS.has(status) && location !== undefined) return { kind: "redirect", location };
  if (status === 304 && (order.etag ?? order.lastModified) !== undefined) return { kind: "unchanged" };
  if (status !== 200) return fail(`answered with ${status}`);
  if ((answer.header("content-encoding") ?? IDENTITY) !== IDENTITY)
    return fail("answered with a compressed file, which was not asked for");
  return {
    kind: "content",
    bytes: answer.body,
    etag: answer.header("etag"),
    lastModified: answer.header("last-modified"),
  };
}

const IDENTITY = "identity";

/** What is said of a file otherwise than of an answer. */
function describeFault({ maxBytes, ms }: FetchOrder): { readonly [fault in ExchangeFault]?: string } {
  const late = `did not arrive within ${ms / 1000} s`;
  return {
    late,
    "given up": late,
    "too long": `is larger than ${maxBytes / 1024 / 1024} MiB`,
    cut: "ended before its end",
  };
}

/** The user and the password for Basic; empty without a user, undefined when a server has sent what is no UTF-8. */
function readLogin({ username, password }: URL): string | undefined {
  if (username === "") return "";
  try {
    return decodeURIComponent(`${username}:${password}`);
  } catch {
    return undefined;
  }
}

function listFields(login: string, { etag, lastModified, accept }: FetchOrder): Record<string, string> {
  return {
    Accept: accept ?? "application/x-ns-proxy-autoconfig, application/x-javascript-config, */*;q=0.5",
    ...(login !== "" && { Authorization: `Basic ${Buffer.from(login).toString("base64")}` }),
    ...(etag !== undefined && { "If-None-Match": etag }),
    ...(lastModified !== undefined && { "If-Modified-Since": lastModified }),
  };
}

function fail(why: string): { readonly kind: "failed"; readonly why: string } {
  return { kind: "failed", why };
}
