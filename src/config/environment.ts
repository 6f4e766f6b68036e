import { type Cidr, containsIp, parseCidr } from "../address/cidr.ts";
import { toAsciiHost } from "../address/host.ts";
import { parseIp } from "../address/ip.ts";
import type { EnvironmentRoutes } from "../proxy/runtime.ts";
import type { Hop } from "../proxy/route/route.ts";
import { compileHop } from "./compile-upstream.ts";
import type { Problem } from "./problem.ts";
import { parseUpstreamUrl } from "./upstream-url.ts";

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
      if (parsed.ok) return compileHop(name, { url });
      problems.push({
        path: [],
        origin: variable,
        message: `The URL ${parsed.reason}${parsed.reason.endsWith("?") ? "" : "."}`,
      });
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

type Exception = (host: string, port: number) => boolean;

/**
 * Compiles `no_proxy`: entries apart by commas or spaces, each `*`, an address,
 * a range, or a name that also means every name below it, with or without a
 * leading dot or `*.`, and perhaps with a port. What cannot be read matches nothing,
 * as in every program that reads the variable.
 */
function compileExceptions(text: string): EnvironmentRoutes["bypasses"] {
  const exceptions = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .flatMap((entry) => compileException(entry) ?? []);
  return (host, port) => exceptions.some((matches) => matches(host, port));
}

function compileException(entry: string): Exception | undefined {
  if (entry === "*") return () => true;
  const range = parseRange(entry);
  if (range) return (host) => matchesRange(range, host);
  const split = /^(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?$/.exec(entry);
  if (!split) return undefined;
  const [, written = "", portText] = split;
  const port = portText === undefined ? undefined : Number(portText);
  const matchesPort = (given: number) => port === undefined || port === given;
  const address = parseRange(written.replace(/^\[|\]$/g, ""));
  if (address) return (host, given) => matchesPort(given) && matchesRange(address, host);
  const parsed = toAsciiHost(written.replace(/^\*?\./, ""));
  if (!parsed.ok) return undefined;
  const name = parsed.host.text;
  return (host, given) => matchesPort(given) && (host === name || host.endsWith(`.${name}`));
}

function parseRange(text: string): Cidr | undefined {
  const parsed = parseCidr(text);
  return parsed.ok ? parsed.cidr : undefined;
}

function matchesRange(range: Cidr, host: string): boolean {
  const ip = parseIp(host.replace(/^\[|\]$/g, ""));
  return ip !== undefined && containsIp(range, ip);
}
