import { setTimeout } from "node:timers/promises";
import { nameError } from "../error-code.ts";
import { isRecord } from "../config/plain-data.ts";
import { escapeText } from "../escape-text.ts";
import type { SidecarAccess } from "./find-sidecar.ts";

/** The answer, or why there is none. */
export function askSidecar(
  access: SidecarAccess,
  url: URL,
  method: string,
  signal?: AbortSignal,
): Promise<Response | string> {
  return requestSidecar(access, url, { method, ...(signal && { signal }) });
}

/** What a request is beside its address. */
interface RequestParts {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** JSON. */
  readonly body?: string;
}

/** As `askSidecar`, with fields of its own. */
export async function requestSidecar(
  { unix, token, tls }: SidecarAccess,
  url: URL,
  { method = "GET", headers, signal, body }: RequestParts,
): Promise<Response | string> {
  try {
    return await fetch(url, {
      method,
      redirect: "manual",
      headers: {
        ...headers,
        ...(body !== undefined && { "Content-Type": "application/json" }),
        Authorization: `Bearer ${token}`,
      },
      ...(body !== undefined && { body }),
      // Ignores the proxy variables of the environment; an empty text does not.
      proxy: false,
      ...(signal && { signal }),
      ...(unix !== undefined && { unix }),
      ...(tls && { tls }),
    });
  } catch (error) {
    return `Cannot reach the sidecar at ${unix ?? url.origin}: ${nameError(error)}.${adviseOn(error, url)}`;
  }
}

/** Puts the flags that were given into the query, under the same names. */
export function addQuery(url: URL, value: (name: string) => string | undefined, names: readonly string[]): void {
  for (const name of names) {
    const given = value(name);
    if (given !== undefined) url.searchParams.set(name, given);
  }
}

/** Waits before the sidecar is asked again: for so long, or until the signal. Leaves no listener on the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => {});
}

/** What an RFC 9457 problem says, or a line of text: so answers a sidecar with TLS that is asked in clear. */
export async function readDetail(answer: Response): Promise<string> {
  const isText = answer.headers.get("Content-Type")?.startsWith("text/plain") === true;
  if (isText) return escapeText((await readText(answer)).trim().slice(0, MAX_TEXT)) || UNSAID;
  const detail = (await readJson(answer))["detail"];
  return typeof detail === "string" ? detail : UNSAID;
}

const UNSAID = "it does not say why.";
/** Characters of a text that may be of another server. */
const MAX_TEXT = 200;

/** The text of an answer; empty when the connection ends before it. */
async function readText(answer: Pick<Response, "text">): Promise<string> {
  try {
    return await answer.text();
  } catch {
    return "";
  }
}

/** The members of a JSON object; none when the answer is none. */
export async function readJson(answer: Pick<Response, "text">): Promise<Readonly<Record<string, unknown>>> {
  try {
    const body: unknown = JSON.parse(await readText(answer));
    return isRecord(body) ? body : {};
  } catch {
    // Not an answer of our sidecar.
    return {};
  }
}

/** What to do about a sidecar that does not answer, or about TLS that failed. */
function adviseOn(error: unknown, { protocol }: URL): string {
  const code = nameError(error);
  if (/^(?:ECONNREFUSED|ENOENT|ConnectionRefused|FailedToOpenSocket)$/.test(code)) return " Is the proxy running?";
  if (code === "EACCES" || code === "EPERM") return " Only the user of the proxy and root may ask there.";
  if (protocol !== "https:") return "";
  if (code === "EPROTO") return " It may speak no TLS: ask with http://.";
  const isUntrusted = /^(?:SELF_SIGNED_CERT|DEPTH_ZERO_SELF|UNABLE_TO_(?:GET_ISSUER|VERIFY))/.test(code);
  return isUntrusted
    ? ' Its certificate is of an authority that is not trusted here. Name its file in NODE_EXTRA_CA_CERTS, or in "sidecar.tls.ca" of a configuration.'
    : "";
}
