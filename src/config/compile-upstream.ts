import { toAsciiHost } from "../address/host.ts";
import { Secret } from "../proxy/auth/secret.ts";
import type { Hop, HopTls } from "../proxy/route/route.ts";
import type { Materials } from "./materials.ts";
import { findAuthorityFault, listPaths, readCertificate, readPrivateKey, refusePem } from "./pem.ts";
import { type Problem, quoteValue } from "./problem.ts";
import { findSecret } from "./resolve-secret.ts";
import type { Config } from "./schema.ts";
import type { UpstreamSettings } from "./upstream-schema.ts";
import { parseUpstreamUrl } from "./upstream-url.ts";

/** Compiles the named upstreams, and the one that `upstream` makes. Tells of certificates and keys that cannot be used. */
export function compileUpstreams(
  config: Pick<Config, "upstream" | "upstreams">,
  materials: Materials,
): { upstreams: Map<string, Hop>; problems: Problem[] } {
  const upstreams = new Map<string, Hop>();
  const problems: Problem[] = [];
  const { upstream } = config;
  if (upstream !== undefined && upstream !== "environment")
    upstreams.set("upstream", compileHop("upstream", { url: upstream }));
  for (const [name, written] of Object.entries(config.upstreams)) {
    const settings = typeof written === "string" ? { url: written } : written;
    problems.push(...findPemProblems(settings, ["upstreams", name], materials));
    upstreams.set(name, compileHop(name, settings, materials));
  }
  return { upstreams, problems };
}

/**
 * Makes the hop of one upstream.
 * @throws when the URL does not parse: the schema has not been asked.
 */
export function compileHop(name: string, settings: UpstreamSettings, materials?: Materials): Hop {
  const parsed = parseUpstreamUrl(settings.url);
  if (!parsed.ok) throw new Error(`The URL of upstream ${name} is unchecked`);
  const { kind, endpoint, credentials } = parsed.value;
  const user = settings.username ?? credentials?.user;
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
    ...(cert !== undefined && { cert: read(cert) }),
    ...(key !== undefined && { key: read(key) }),
  };
}

/** A name as certificates have it: U-labels become A-labels. */
function toServerName(text: string): string {
  const parsed = toAsciiHost(text);
  if (!parsed.ok) throw new Error(`The server name ${text} is unchecked`);
  return parsed.host.text;
}

/** What is wrong with the PEM files of an upstream; missing ones have been told already. */
function findPemProblems(settings: UpstreamSettings, path: PropertyKey[], { files }: Materials): Problem[] {
  const problems: Problem[] = [];
  const paths = settings.ca === undefined ? [] : listPaths(settings.ca);
  for (const [at, file] of paths.entries()) {
    const where = Array.isArray(settings.ca) ? ["ca", at] : ["ca"];
    const text = files.get(file);
    const fault = text === undefined ? undefined : findAuthorityFault([...path, ...where], file, text);
    if (fault !== undefined) problems.push(fault);
  }
  const { cert, key } = settings;
  const certText = cert === undefined ? undefined : files.get(cert);
  const keyText = key === undefined ? undefined : files.get(key);
  const certificate = certText === undefined ? undefined : readCertificate(certText);
  const privateKey = keyText === undefined ? undefined : readPrivateKey(keyText);
  if (cert !== undefined && certText !== undefined && !certificate)
    problems.push(refusePem([...path, "cert"], cert, "certificate"));
  if (key !== undefined && keyText !== undefined && !privateKey)
    problems.push(refusePem([...path, "key"], key, "unencrypted private key"));
  if (certificate && privateKey && !certificate.checkPrivateKey(privateKey))
    problems.push({
      path: [...path, "key"],
      message: `The key ${quoteValue(key)} does not belong to the certificate ${quoteValue(cert)}.`,
    });
  return problems;
}
