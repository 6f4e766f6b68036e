import { toAsciiHost } from "../address/host.ts";
import { Secret } from "../secret.ts";
import type { PoolPlan } from "../proxy/route/pool-plan.ts";
import type { Hop, HopTls } from "../proxy/route/hop.ts";
import { compilePool } from "./compile-pool.ts";
import { isPac } from "./compile-pac.ts";
import type { Materials } from "./materials.ts";
import { findAuthorityFaults, listPaths, readPair } from "./pem.ts";
import { type Problem, readAccepted } from "./problem.ts";
import { readReference } from "./pool-schema.ts";
import { findSecret } from "./secrets.ts";
import type { Config } from "./schema.ts";
import type { UpstreamSettings } from "./upstream-schema.ts";
import { parseUpstreamUrl } from "./upstream-url.ts";
import { findControl, parseUserTemplate } from "./user-template.ts";

/** Compiles the named upstreams, and the one that `upstream` makes. Reports certificates and keys that cannot be used. */
export function compileUpstreams(
  { upstream, upstreams: written }: Pick<Config, "upstream" | "upstreams">,
  materials: Materials,
): { upstreams: Map<string, Hop | PoolPlan>; problems: Problem[] } {
  const upstreams = new Map<string, Hop | PoolPlan>();
  const problems: Problem[] = [];
  const makeHop = (name: string, settings: UpstreamSettings, path: PropertyKey[]): Hop => {
    const hop = compileHop(name, settings, materials);
    problems.push(...findHopProblems(hop, settings, path, materials));
    return hop;
  };
  if (upstream !== undefined && upstream !== "environment")
    upstreams.set("upstream", makeHop("upstream", { url: upstream }, ["upstream"]));
  const find = (name: string): Hop | PoolPlan => {
    const known = upstreams.get(name);
    if (known !== undefined) return known;
    const settings = written[name];
    if (settings === undefined) throw new Error(`The upstream ${name} is unchecked`);
    const made = make(name, settings);
    upstreams.set(name, made);
    return made;
  };
  const make = (name: string, settings: Config["upstreams"][string]): Hop | PoolPlan => {
    if (typeof settings === "string") return makeHop(name, { url: settings }, ["upstreams", name]);
    if (isPac(settings)) throw new Error(`The upstream ${name} is used as a member unchecked`);
    if (!("pool" in settings)) return makeHop(name, settings, ["upstreams", name]);
    return compilePool(name, settings, {
      hop: (full, member, at) => makeHop(full, member, ["upstreams", name, "pool", at]),
      upstream: find,
    });
  };
  for (const [name, settings] of Object.entries(written)) if (!isPac(settings)) find(name);
  return { upstreams, problems };
}

/**
 * What only the materials show to be wrong in upstreams that contradict each other,
 * so that they cannot be compiled: each URL by itself.
 */
export function findUpstreamProblems(upstreams: Config["upstreams"], materials: Materials): Problem[] {
  return Object.entries(upstreams).flatMap(([name, settings]) =>
    listHops(settings).flatMap(({ hop, at }) =>
      findHopProblems(compileHop(name, hop, materials), hop, ["upstreams", name, ...at], materials),
    ),
  );
}

/** The settings that have a URL, and where. */
function listHops(settings: Config["upstreams"][string]): { hop: UpstreamSettings; at: PropertyKey[] }[] {
  if (typeof settings === "string") return [{ hop: { url: settings }, at: [] }];
  if (isPac(settings)) return [];
  if (!("pool" in settings)) return [{ hop: settings, at: [] }];
  return settings.pool.flatMap((member, at) => {
    if (readReference(member) !== undefined) return [];
    const { url, ...others } = typeof member === "string" ? { url: member } : member;
    return url === undefined ? [] : [{ hop: { ...others, url }, at: ["pool", at] }];
  });
}

function findHopProblems(hop: Hop, settings: UpstreamSettings, path: PropertyKey[], materials: Materials): Problem[] {
  const message = findCredentialProblem(hop);
  return [...findPemProblems(settings, path, materials), ...(message === undefined ? [] : [{ path, message }])];
}

/**
 * Makes the hop of one upstream.
 * @throws when the URL does not parse: the schema has not been asked.
 */
export function compileHop(name: string, settings: UpstreamSettings, materials?: Materials): Hop {
  const parsed = parseUpstreamUrl(settings.url);
  if (!parsed.ok) throw new Error(`The URL of upstream ${name} is unchecked`);
  const { kind, endpoint, credentials } = parsed.value;
  const user = settings.username === undefined ? credentials?.user : readAccepted(parseUserTemplate(settings.username));
  const password =
    credentials === undefined ? findSecret(settings.password, materials) : new Secret(credentials.password);
  return {
    name,
    kind,
    endpoint,
    ...(user !== undefined && {
      credentials: { user, password: password ?? new Secret("") },
    }),
    ...(kind === "https" && {
      tls: compileTls(settings, endpoint.host.text, materials),
    }),
    ...(settings.tunnelHttp === true && { tunnelHttp: true }),
    ...(settings.auth !== undefined && { auth: settings.auth }),
    ...(settings.proxyProtocol !== undefined && { proxyProtocol: settings.proxyProtocol }),
    ...(settings.sourceAddress !== undefined && {
      sourceAddress: settings.sourceAddress,
    }),
  };
}

function compileTls(settings: UpstreamSettings, host: string, materials: Materials | undefined): HopTls {
  const read = (path: string) => materials?.files.get(path) ?? "";
  const { ca, cert, key } = settings;
  return {
    serverName: settings.serverName === undefined ? host : toServerName(settings.serverName),
    ...(ca !== undefined && { ca: listPaths(ca).map(read) }),
    ...(cert !== undefined && { cert: read(cert), certFile: cert }),
    ...(key !== undefined && { key: read(key) }),
  };
}

/** A name as certificates have it: U-labels become A-labels. */
function toServerName(text: string): string {
  const parsed = toAsciiHost(text);
  if (!parsed.ok) throw new Error(`The server name ${text} is unchecked`);
  return parsed.host.text;
}

/** Bytes that SOCKS can carry of a user name or a password (RFC 1929 §2). */
const MAX_SOCKS_BYTES = 255;

/** Says why credentials could never be sent to an upstream of this kind, without repeating them. */
export function findCredentialProblem({ kind, credentials }: Hop): string | undefined {
  if (credentials === undefined) return undefined;
  const user = typeof credentials.user === "string" ? credentials.user : credentials.user.texts;
  const password = credentials.password.reveal();
  const fault = findControl(credentials);
  if (fault !== undefined) return fault;
  if (kind === "http" || kind === "https") {
    if (!user.includes(":")) return undefined;
    return "The user name has a colon, which Basic and Digest cannot carry (RFC 7617). Ask for a user name without one.";
  }
  const longest = Math.max(Buffer.byteLength(user), kind === "socks4a" ? 0 : Buffer.byteLength(password));
  if (longest <= MAX_SOCKS_BYTES) return undefined;
  return `The user name or the password has more than ${MAX_SOCKS_BYTES} bytes, which SOCKS cannot carry (RFC 1929).`;
}

/** Reports PEM files of an upstream that cannot be used; missing ones are reported already. */
function findPemProblems({ ca, cert, key }: UpstreamSettings, path: PropertyKey[], { files }: Materials): Problem[] {
  const authorities = ca === undefined ? [] : findAuthorityFaults(ca, [...path, "ca"], files);
  return [...authorities, ...readPair({ cert, key }, path, files).problems];
}
