import { type Endpoint, parseAuthority, parseHostField } from "../../address/endpoint.ts";

/** One entry of what `FindProxyForURL` answers: no proxy, or how to speak to one. */
export type PacChoice =
  | { readonly kind: "direct" }
  | { readonly kind: "http" | "https" | "socks5h" | "socks4a"; readonly endpoint: Endpoint };

export type PacResult =
  /** At least one choice, in order. `ignored` are entries that mean nothing here. */
  | { readonly ok: true; readonly choices: readonly PacChoice[]; readonly ignored: readonly string[] }
  /** `reason` continues a sentence about the result: `names no proxy that is known here: "QUIC a:443"`. */
  | { readonly ok: false; readonly reason: string };

/** Characters of a result: real ones have some hundred at most. */
export const MAX_RESULT = 8192;
/** Entries that are tried; browsers try few more before their user gives up. */
const MAX_CHOICES = 16;

interface ProxyWord {
  readonly kind: Exclude<PacChoice["kind"], "direct">;
  readonly port: number;
}

/**
 * What each word means, and the port when none is written, as in browsers.
 * `SOCKS` alone is SOCKS5 here and in Firefox, and SOCKS4 in Chromium. Names are
 * resolved by the SOCKS server, as browsers do.
 */
const words: ReadonlyMap<string, ProxyWord> = new Map([
  ["PROXY", { kind: "http", port: 80 }],
  ["HTTP", { kind: "http", port: 80 }],
  ["HTTPS", { kind: "https", port: 443 }],
  ["SOCKS", { kind: "socks5h", port: 1080 }],
  ["SOCKS5", { kind: "socks5h", port: 1080 }],
  ["SOCKS4", { kind: "socks4a", port: 1080 }],
]);

const DIRECT: PacChoice = { kind: "direct" };

/**
 * Reads what `FindProxyForURL` answered: entries such as `PROXY host:port`,
 * separated by semicolons and tried in order. `undefined` (no value, or `null`)
 * and an empty text mean direct. Entries that are not understood are passed over;
 * when no other is left the result is refused, and not taken for direct.
 */
export function readPacResult(text: string | undefined): PacResult {
  if (text === undefined) return { ok: true, choices: [DIRECT], ignored: [] };
  if (text.length > MAX_RESULT) return { ok: false, reason: `has more than ${MAX_RESULT} characters` };
  const entries = text
    .split(";")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  if (entries.length === 0) return { ok: true, choices: [DIRECT], ignored: [] };
  const choices = new Map<string, PacChoice>();
  const ignored: string[] = [];
  for (const entry of entries) {
    const choice = readEntry(entry);
    if (choice === undefined) ignored.push(entry);
    else choices.set(describeChoice(choice), choice);
  }
  if (choices.size === 0)
    return { ok: false, reason: `names no proxy that is known here: ${JSON.stringify(cut(entries[0] as string))}` };
  return { ok: true, choices: [...choices.values()].slice(0, MAX_CHOICES), ignored };
}

function readEntry(entry: string): PacChoice | undefined {
  const [word = "", authority, ...rest] = entry.split(/\s+/);
  if (rest.length > 0) return undefined;
  const kind = word.toUpperCase();
  if (kind === "DIRECT") return authority === undefined ? DIRECT : undefined;
  const proxy = words.get(kind);
  if (proxy === undefined || authority === undefined) return undefined;
  const parsed = parseHostField(authority, proxy.port);
  return parsed.ok ? { kind: proxy.kind, endpoint: parsed.endpoint } : undefined;
}

/** The canonical text of a choice: equal for equal choices, without spaces. */
export function describeChoice(choice: PacChoice): string {
  if (choice.kind === "direct") return "direct";
  const { host, port } = choice.endpoint;
  const name = host.kind === "ip" && host.ip.family === 6 ? `[${host.text}]` : host.text;
  return `${choice.kind}://${name}:${port}`;
}

/** Reads what `describeChoice` writes; undefined for anything else. */
export function parseChoice(text: string): PacChoice | undefined {
  if (text === DIRECT.kind) return DIRECT;
  const [, kind, authority = ""] = /^(https?|socks5h|socks4a):\/\/(.*)$/.exec(text) ?? [];
  const known = words.values().find((word) => word.kind === kind);
  const parsed = parseAuthority(authority);
  return known === undefined || !parsed.ok ? undefined : { kind: known.kind, endpoint: parsed.endpoint };
}

function cut(text: string): string {
  return text.length > 64 ? `${text.slice(0, 64)}…` : text;
}
