import { parseCidr } from "../address/cidr.ts";
import { describeHostError, toAsciiHost } from "../address/host.ts";
import type { TargetPattern } from "../proxy/policy/target-index.ts";
import { type Read, readAccepted, refuse } from "./problem.ts";

type PortRange = readonly [from: number, to: number];

/**
 * Reads an entry of a rule's `to`: `*`, `example.org`, `*.example.org`, an
 * address or a range, each alone or with `:443`, `:8000-8999` or `:80,443`.
 * IPv6 is in brackets when ports follow: `[2001:db8::/32]:443`.
 */
export function parseTargetPattern(text: string): Read<TargetPattern> {
  if (text.includes(":")) {
    const range = parseCidr(text);
    if (range.ok) return { ok: true, value: { host: { kind: "cidr", cidr: range.cidr }, ports: [] } };
  }
  const split = splitPorts(text);
  if (!split)
    return refuse('has more than one colon. Write IPv6 in brackets when a port follows, as in "[2001:db8::/32]:443"');
  const host = parseHostPattern(split.host);
  if ("reason" in host) return { ok: false, reason: host.reason };
  const ports = split.ports === undefined ? [] : parsePorts(split.ports);
  if (!ports)
    return refuse(
      'has no valid ports after the colon. Write ":443", ":8000-8999" or ":80,443" with ports from 1 to 65535',
    );
  return { ok: true, value: { host, ports } };
}

/** The form of a target for the JSON Schema: every text that can be read has it. */
const TARGET_PATTERN =
  "^(\\*|(\\*\\.)?[^\\s*:@/.\\[\\]][^\\s*:@/\\[\\]]*(/[0-9]{1,3})?|\\[[^\\s\\[\\]]+\\])(:(\\*|[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*))?$|^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$";

/** Whether a target is every host, or every address of a family; false for what is none. */
export function isEveryHost(text: string): boolean {
  const parsed = parseTargetPattern(text);
  if (!parsed.ok) return false;
  const { host } = parsed.value;
  return host.kind === "any" || (host.kind === "cidr" && host.cidr.prefix === 0);
}

/** Reads a target that the schema has accepted. */
export function readTarget(text: string): TargetPattern {
  return readAccepted(parseTargetPattern(text));
}

function splitPorts(text: string): { host: string; ports: string | undefined } | undefined {
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    const rest = text.slice(close + 1);
    if (close < 0 || (rest !== "" && !rest.startsWith(":"))) return undefined;
    return {
      host: text.slice(1, close),
      ports: rest === "" ? undefined : rest.slice(1),
    };
  }
  const [host = "", ports, ...more] = text.split(":");
  return more.length > 0 ? undefined : { host, ports };
}

function parseHostPattern(text: string): TargetPattern["host"] | { readonly reason: string } {
  if (text === "*") return { kind: "any" };
  if (text.startsWith("*.")) {
    const suffix = toAsciiHost(text.slice(2));
    if (!suffix.ok) return { reason: `cannot be matched: ${describeHostError(suffix.code)}` };
    if (suffix.host.kind === "ip")
      return {
        reason: 'puts a star before an address. Write a range, as in "10.0.0.0/8"',
      };
    return { kind: "suffix", suffix: suffix.host.text };
  }
  if (text.includes("*"))
    return {
      reason: 'has a star in the middle. A star stands alone or before a name, as in "*.example.org"',
    };
  if (text.startsWith("."))
    return {
      reason: `begins with a dot. Write "*${text}" for every name below it`,
    };
  if (text.includes("/") || text.includes(":") || /^[0-9.]+$/.test(text)) {
    const range = parseCidr(text);
    return range.ok ? { kind: "cidr", cidr: range.cidr } : { reason: range.reason };
  }
  const name = toAsciiHost(text);
  if (!name.ok) return { reason: `cannot be matched: ${describeHostError(name.code)}` };
  return { kind: "name", name: name.host.text };
}

function parsePorts(text: string): PortRange[] | undefined {
  if (text === "*") return [];
  const ranges: PortRange[] = [];
  for (const part of text.split(",")) {
    const match = /^([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?$/.exec(part);
    if (!match) return undefined;
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    if (to > 65535 || from > to) return undefined;
    ranges.push([from, to]);
  }
  return ranges;
}

/** Why a text is no target of a rule, as the rest of a sentence that begins with it; undefined when it is one. */
export function findTargetFault(text: string): string | undefined {
  const url = explainUrl(text);
  if (url !== undefined) return url;
  const parsed = parseTargetPattern(text);
  if (parsed.ok) return undefined;
  const joined = /^\*([a-z\d][\w.-]*)((?::[\d,*-]+)?)$/i.exec(text);
  if (joined === null) return parsed.reason;
  const [, name = "", ports = ""] = joined;
  return `has a star that stands for part of a name. Write "*.${name}${ports}" for the names below it, "${name}${ports}" for itself, or both`;
}

/** Why a text is no name that SNI can have, as `findTargetFault`. */
export function findServerNameFault(text: string): string | undefined {
  const parsed = parseTargetPattern(text);
  if (!parsed.ok) return findTargetFault(text);
  return parsed.value.host.kind === "cidr" || parsed.value.ports.length > 0 || text.includes(":")
    ? 'is no server name. Write a name without a port, such as "example.org" or "*.example.org"'
    : undefined;
}

/** A target, as a list of entries has it. */
export const targetForm = { findFault: findTargetFault, pattern: TARGET_PATTERN };

/** What to write instead of a URL, where a host and a port are wanted; undefined when it is no URL. */
export function explainUrl(text: string): string | undefined {
  const match = /^([a-z][a-z\d+.-]*):\/\/([\w.*-]+|\[[\da-f:.]+\])?(?::(\d{1,5}))?(\/[^@]*)?$/i.exec(text);
  if (match === null)
    return /^[a-z][a-z\d+.-]*:\/\//i.test(text)
      ? 'is a URL. Write a host and a port, such as "example.org:443"'
      : undefined;
  const [, scheme = "", host, port = usualPorts[scheme.toLowerCase()]] = match;
  if (host === undefined) return 'is a URL. Write a host and a port, such as "example.org:443"';
  return `is a URL. Write "${host}${port === undefined ? "" : `:${port}`}"`;
}

const usualPorts: Readonly<Record<string, string>> = {
  http: "80",
  ws: "80",
  https: "443",
  wss: "443",
  ssh: "22",
  ftp: "21",
};
