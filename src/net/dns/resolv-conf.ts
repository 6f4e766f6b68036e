import { parseHost } from "../../address/host.ts";
import { parseIp } from "../../address/ip.ts";

export interface ResolvConf {
  /** Addresses of the name servers, in order. An IPv6 address may have a zone id. */
  readonly servers: readonly string[];
  /** The search list, in order. An empty text is the root. */
  readonly search: readonly string[];
  /** A name with at least so many dots is tried as it is before the search list. */
  readonly ndots: number;
  /** Milliseconds for one name server. */
  readonly timeoutMs: number;
  /** Times that each name server is asked. */
  readonly attempts: number;
  /** Each question begins with another name server. */
  readonly rotate: boolean;
  /** Questions are asked over TCP only. */
  readonly useTcp: boolean;
  /** IPv6 addresses are not asked for. */
  readonly noAaaa: boolean;
  /** A name without a dot is not tried as it is after the search list. */
  readonly noTldQuery: boolean;
}

/** As in glibc, which ignores more. */
const MAX_SERVERS = 3;
/** glibc has no limit. Each domain may cost a question per name. */
const MAX_SEARCH = 16;

/** The server when the file names none. */
const DEFAULT_SERVER = "127.0.0.1";

/** Options that need a number. */
const NUMERIC: ReadonlySet<string> = new Set(["ndots", "timeout", "attempts"]);

/** Reads a resolv.conf. Without a search list, the domain of this machine's `hostName` is the search list. */
export function parseResolvConf(text: string, hostName: string): ResolvConf {
  const servers: string[] = [];
  let search: string[] | undefined;
  const options = new Map<string, number>();
  for (const line of text.split("\n")) {
    // The keyword begins the line, and is no comment.
    const [, keyword, rest = ""] = /^(nameserver|search|domain|options)[ \t]+(.*)$/.exec(line.replace(/\r$/, "")) ?? [];
    const words = rest.split(/[ \t]+/).filter(Boolean);
    if (words.length === 0) continue;
    if (keyword === "nameserver") servers.push(...words.slice(0, 1).filter(isServer));
    // The last of both wins.
    else if (keyword === "search") search = readDomains(words);
    else if (keyword === "domain") search = readDomains(words.slice(0, 1));
    else if (keyword === "options") readOptions(words, options);
  }
  const dot = hostName.indexOf(".");
  return {
    servers: servers.length === 0 ? [DEFAULT_SERVER] : servers.slice(0, MAX_SERVERS),
    search: search ?? (dot < 0 ? [] : readDomains([hostName.slice(dot + 1)])),
    ndots: Math.min(options.get("ndots") ?? 1, 15),
    timeoutMs: Math.min(Math.max(options.get("timeout") ?? 5, 1), 30) * 1000,
    attempts: Math.min(Math.max(options.get("attempts") ?? 2, 1), 5),
    rotate: options.has("rotate"),
    useTcp: options.has("use-vc"),
    noAaaa: options.has("no-aaaa"),
    noTldQuery: options.has("no-tld-query"),
  };
}

/**
 * The absolute names that `name` may stand for, in the order in which they are
 * tried, as glibc does it. `asAsked` is the place of the name itself among them.
 */
export function listCandidates(
  name: string,
  absolute: boolean,
  { search, ndots, noTldQuery }: Pick<ResolvConf, "search" | "ndots" | "noTldQuery">,
): { readonly names: readonly string[]; readonly asAsked: number } {
  if (absolute || search.length === 0) return { names: [name], asAsked: 0 };
  const dots = name.split(".").length - 1;
  const completed = search
    .map((domain) => (domain === "" ? name : `${name}.${domain}`))
    .filter((candidate) => candidate.length <= 253);
  const first = dots >= ndots;
  const last = !first && (dots > 0 || !noTldQuery);
  const names = [...new Set([...(first ? [name] : []), ...completed, ...(last ? [name] : [])])];
  return { names, asAsked: names.indexOf(name) };
}

function isServer(text: string): boolean {
  return parseIp(text.split("%", 1)[0] ?? "") !== undefined;
}

function readDomains(words: readonly string[]): string[] {
  const domains: string[] = [];
  for (const word of words.slice(0, MAX_SEARCH)) {
    if (word === ".") domains.push("");
    const parsed = parseHost(word);
    if (parsed.ok && parsed.host.kind === "name") domains.push(parsed.host.text);
  }
  return domains;
}

function readOptions(words: readonly string[], into: Map<string, number>): void {
  for (const word of words) {
    const [, name = "", value] = /^([a-z0-9-]+)(?::([0-9]{1,6}))?/.exec(word) ?? [];
    if (value !== undefined) into.set(name, Number(value));
    else if (!NUMERIC.has(name)) into.set(name, 0);
  }
}
