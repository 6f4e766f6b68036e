import { resolve } from "node:path";

import { formatEndpoint, parseAuthority } from "../address/endpoint.ts";
import { parseHost } from "../address/host.ts";
import type { PacSource } from "../pac/followed-pac.ts";
import type { PacPlan } from "../proxy/pac/pac-plan.ts";
import type { Hop } from "../proxy/route/hop.ts";
import { Secret } from "../secret.ts";
import type { Materials } from "./materials.ts";
import { isPacUrl, type PacSettings } from "./pac-schema.ts";
import { findAuthorityFaults, listPaths } from "./pem.ts";
import { type Problem, readAccepted } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import type { Config } from "./schema.ts";
import { findSecret } from "./secrets.ts";
import { findControl, parseUserTemplate } from "./user-template.ts";

/** The upstreams of a configuration that PAC files choose. */
interface CompiledPacs {
  readonly pacs: ReadonlyMap<string, PacPlan>;
  readonly sources: readonly PacSource[];
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

const REFRESH = "1h";

/** Compiles the upstreams that have a PAC file. */
export function compilePacs({ upstreams }: Pick<Config, "upstreams">, materials: Materials): CompiledPacs {
  const pacs = new Map<string, PacPlan>();
  const sources: PacSource[] = [];
  const warnings: Problem[] = [];
  for (const [name, written] of Object.entries(upstreams)) {
    if (!isPac(written)) continue;
    const path = ["upstreams", name];
    const roots = compileRoots(written, materials);
    pacs.set(name, { kind: "pac", name, credentials: compileLogins(written, materials), ...roots });
    sources.push(compileSource(name, written, materials));
    if (/^http:/i.test(written.pac))
      warnings.push({
        path: [...path, "pac"],
        message: "The PAC file is fetched without TLS: whoever is on the way can choose the proxies. Use https.",
      });
  }
  return { pacs, sources, problems: findPacProblems(upstreams, materials), warnings };
}

/** What only the materials show to be wrong in upstreams that have a PAC file, even where they contradict themselves. */
export function findPacProblems(upstreams: Config["upstreams"], materials: Materials): Problem[] {
  return Object.entries(upstreams).flatMap(([name, written]) => {
    if (!isPac(written)) return [];
    const path = ["upstreams", name];
    const { ca, logins = {} } = written;
    return [
      ...(ca === undefined ? [] : findAuthorityFaults(ca, [...path, "ca"], materials.files)),
      ...findLoginProblems(written, path, materials),
      ...Object.entries(logins).flatMap(([proxy, login]) =>
        findLoginProblems(login, [...path, "logins", proxy], materials),
      ),
    ];
  });
}

type Login = Pick<PacSettings, "username" | "password">;

function findLoginProblems(login: Login, path: readonly PropertyKey[], materials: Materials): Problem[] {
  const credentials = compileLogin(login, materials);
  const message = credentials && findControl(credentials);
  return message === undefined ? [] : [{ path: [...path], message }];
}

/** Whether the settings of an upstream are those of one with a PAC file. */
export function isPac(upstream: Config["upstreams"][string]): upstream is PacSettings {
  return typeof upstream === "object" && "pac" in upstream;
}

function compileSource(name: string, settings: PacSettings, materials: Materials): PacSource {
  const { pac, refresh = REFRESH } = settings;
  if (!isPacUrl(pac))
    return { name, at: { kind: "file", path: resolve(materials.folder, pac), text: materials.files.get(pac) ?? "" } };
  return {
    name,
    at: { kind: "url", url: pac, ...compileRoots(settings, materials), refreshMs: readDuration(refresh) },
  };
}

function compileRoots({ ca }: PacSettings, { files }: Materials): { readonly ca?: readonly string[] } {
  return ca === undefined ? {} : { ca: listPaths(ca).map((path) => files.get(path) ?? "") };
}

function compileLogin({ username, password }: Login, materials: Materials): Hop["credentials"] {
  if (username === undefined) return undefined;
  const user = readAccepted(parseUserTemplate(username));
  return { user, password: findSecret(password, materials) ?? new Secret("") };
}

/** Finds the credentials for a proxy: those for its host and port, then those for its host, then those for all. */
function compileLogins(settings: PacSettings, materials: Materials): PacPlan["credentials"] {
  const create = (login: Login) => compileLogin(login, materials);
  const forAll = create(settings);
  const byProxy = new Map<string, Hop["credentials"]>();
  for (const [proxy, login] of Object.entries(settings.logins ?? {})) {
    const exact = parseAuthority(proxy);
    const host = parseHost(proxy);
    if (!exact.ok && !host.ok) throw new Error(`The proxy ${proxy} is unchecked`);
    // Without a port it is for all of them.
    byProxy.set(exact.ok ? formatEndpoint(exact.endpoint) : host.ok ? host.host.text : proxy, create(login));
  }
  return (proxy, host) => byProxy.get(proxy) ?? byProxy.get(host) ?? forAll;
}
