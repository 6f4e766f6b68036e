import { describeEndpointError, type Endpoint, parseAuthority } from "../address/endpoint.ts";
import { toAsciiHost } from "../address/host.ts";
import { quoteSubject } from "../config/problem.ts";
import { explainUrl } from "../config/target-pattern.ts";

/** Port of a target that is given without one: what nearly every tunnel is for. */
const DEFAULT_PORT = 443;

/** The endpoint that a person wrote, U-labels and bare IPv6 included; or what is wrong with it. */
export function readTarget(text: string): Endpoint | string {
  const inUrl = readUrlTarget(text);
  if (inUrl !== undefined) return readTarget(inUrl);
  const bare = toAsciiHost(text);
  if (bare.ok) return { host: bare.host, port: DEFAULT_PORT };
  const parsed = parseAuthority(toAsciiAuthority(text));
  if (parsed.ok) return parsed.endpoint;
  const url = explainUrl(text);
  return `${quoteSubject(text)} ${url ?? `is not a target: ${describeEndpointError(parsed.code)}`}.`;
}

/** The host and port of a URL that a client would ask for; undefined for anything else, and with a user in it. */
function readUrlTarget(text: string): string | undefined {
  const [, scheme = "", host, port] =
    /^(https?|wss?):\/\/([^/?#@:[\]\s]+|\[[\da-f:.]+\])(?::(\d{1,5}))?(?:[/?#].*)?$/is.exec(text) ?? [];
  if (host === undefined) return undefined;
  return `${host}:${port ?? (/^(?:https|wss)$/i.test(scheme) ? "443" : "80")}`;
}

/** `text` with the U-labels of its host encoded. */
function toAsciiAuthority(text: string): string {
  const colon = text.lastIndexOf(":");
  const host = toAsciiHost(text.slice(0, Math.max(0, colon)));
  return host.ok && host.host.kind === "name" ? `${host.host.text}${text.slice(colon)}` : text;
}
