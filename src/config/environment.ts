import { type Cidr, parseCidr } from "../address/cidr.ts";
import { hostFromIp, toAsciiHost } from "../address/host.ts";
import { parseIp } from "../address/ip.ts";
import { TargetSet } from "../proxy/policy/target-set.ts";
import { compileHop, findCredentialProblem } from "./compile-upstream.ts";
import { type Problem, writeSentence } from "./problem.ts";
import { parseUpstreamUrl } from "./upstream-url.ts";
import type { Hop } from "../proxy/route/hop.ts";
import type { EnvironmentRoutes } from "../proxy/route/route.ts";
import type { TargetPattern } from "../proxy/policy/target-index.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Reads the conventional variables as curl does: lower case before upper case,
 * and `HTTP_PROXY` in lower case only, since a CGI program can be made to see
 * an `HTTP_PROXY` that a client chose ("httpoxy").
 */
export function compileEnvironment(variables: Variables): {
  routes: EnvironmentRoutes;
  problems: Problem[];
} {
  const problems: Problem[] = [];
  const read = (name: string, ...variableNames: string[]): Hop | undefined => {
    for (const variable of variableNames) {
      const value = variables[variable]?.trim();
      if (value === undefined || value === "") continue;
      // A bare "proxy:3128" means http, as everywhere.
      const url = value.includes("://") ? value : `http://${value}`;
      const parsed = parseUpstreamUrl(url);
      const hop = parsed.ok ? compileHop(name, { url }) : undefined;
      const message = parsed.ok ? hop && findCredentialProblem(hop) : writeSentence("The URL", parsed.reason);
      if (message === undefined) return hop;
      problems.push({ path: [], origin: variable, message });
      return undefined;
    }
    return undefined;
  };
  const tunnel = read("https_proxy", "https_proxy", "HTTPS_PROXY");
  const forward = read("http_proxy", "http_proxy");
  const all = read("all_proxy", "all_proxy", "ALL_PROXY");
  const exceptions = variables["no_proxy"] ?? variables["NO_PROXY"] ?? "";
  const bypasses = compileExceptions(exceptions);
  const ways = { tunnel: tunnel ?? all, forward: forward ?? all };
  return {
    problems,
    routes: {
      ...(ways.tunnel && { tunnel: ways.tunnel }),
      ...(ways.forward && { forward: ways.forward }),
      bypasses,
    },
  };
}

/**
 * Compiles `no_proxy`: entries apart by commas or spaces, each `*`, an address,
 * a range, or a name that also means every name below it, with or without a
 * leading dot or `*.`, and perhaps with a port. What cannot be read matches nothing,
 * as in every program that reads the variable.
 */
function compileExceptions(text: string): EnvironmentRoutes["bypasses"] {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== "");
  const exceptions = new TargetSet(entries.flatMap(readException));
  return (host, port) => {
    const ip = parseIp(host);
    return exceptions.has(ip ? hostFromIp(ip) : { kind: "name", text: host }, port);
  };
}

function readException(entry: string): TargetPattern[] {
  if (entry === "*") return [{ host: { kind: "any" }, ports: [] }];
  const range = parseRange(entry);
  if (range) return [{ host: { kind: "cidr", cidr: range }, ports: [] }];
  const split = /^(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?$/.exec(entry);
  if (!split) return [];
  const [, written = "", port] = split;
  const ports = port === undefined ? [] : [[Number(port), Number(port)] as const];
  const bare = written.replace(/^\[|\]$/g, "").replace(/^\*?\./, "");
  const address = parseRange(bare);
  if (address) return [{ host: { kind: "cidr", cidr: address }, ports }];
  const parsed = toAsciiHost(bare);
  if (!parsed.ok) return [];
  const { text } = parsed.host;
  return [
    { host: { kind: "name", name: text }, ports },
    { host: { kind: "suffix", suffix: text }, ports },
  ];
}

function parseRange(text: string): Cidr | undefined {
  const parsed = parseCidr(text);
  return parsed.ok ? parsed.cidr : undefined;
}
