import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { type AcmePlan, type ChallengePlan, identifyCertificate } from "../acme/acme-plan.ts";
import { type AcmeSettings, readAcmeName } from "./acme-schema.ts";
import type { ListenerAddress } from "./listener-address.ts";
import type { Materials } from "./materials.ts";
import { findAuthorityFaults, listPaths } from "./pem.ts";
import { type Problem, quoteValue, readAccepted } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import { findSecret } from "./secrets.ts";

const LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPTS: ReadonlySet<string> = new Set([LETS_ENCRYPT, LETS_ENCRYPT_STAGING]);

/** Compiles how a certificate is ordered, `path` being the setting. */
export function compileAcme(
  acme: AcmeSettings,
  path: readonly PropertyKey[],
  materials: Pick<Materials, "files"> & Partial<Materials>,
): { plan: AcmePlan; problems: Problem[] } {
  const { names, email, staging, directory, ca, profile, eab } = acme;
  const { files } = materials;
  const problems: Problem[] = ca === undefined ? [] : findAuthorityFaults(ca, [...path, "ca"], files);
  const secret = eab && findSecret(eab.hmac, { variables: {}, folder: "", terminal: false, ...materials })?.reveal();
  if (secret !== undefined && !/^[A-Za-z0-9_+/-]{16,}=*$/.test(secret))
    problems.push({
      path: [...path, "eab", "hmac"],
      message: "The key is not in base64url. Write it as the authority shows it.",
    });
  return {
    problems,
    plan: {
      directory: directory ?? (staging ? LETS_ENCRYPT_STAGING : LETS_ENCRYPT),
      ca: ca === undefined ? undefined : listPaths(ca).map((file) => files.get(file) ?? ""),
      names: [...new Set(names.map((name) => readAccepted(readAcmeName(name))))],
      email,
      profile,
      eab: eab && secret !== undefined ? { kid: eab.kid, secret } : undefined,
      challenge: compileChallenge(acme, materials.folder ?? ""),
    },
  };
}

function compileChallenge({ challenge, httpPort, webroot, dns }: AcmeSettings, folder: string): ChallengePlan {
  if (challenge === "tls-alpn-01") return { type: challenge };
  if (challenge === "http-01")
    return webroot === undefined
      ? { type: challenge, port: httpPort ?? 80 }
      : { type: challenge, webroot: resolve(folder, webroot) };
  // The schema has refused it without them.
  if (dns === undefined) throw new Error("A challenge by DNS without functions");
  return { type: challenge, add: dns.add, remove: dns.remove, waitMs: readDuration(dns.wait) };
}

/** A listener as far as certificates go. */
interface AcmeListener extends Pick<ListenerAddress, "port"> {
  /** That of the socket which a service manager passes. */
  readonly name?: string;
  readonly acme?: AcmePlan;
}

/** What only all listeners together show: nowhere to keep things, one certificate that is to be ordered in two ways, and a port that is wanted twice. */
export function findAcmeProblems(
  listeners: readonly AcmeListener[],
  state: object | undefined,
  sidecarPort?: number,
): Problem[] {
  const plans = listeners.flatMap(({ acme }, at) => (acme === undefined ? [] : { acme, at }));
  const taken = plans.flatMap(({ acme, at }) => findTakenPort(acme, at, listeners, sidecarPort));
  const others = plans.flatMap(({ acme, at }, index) => {
    const path = ["listen", at, "tls", "acme"];
    if (state === undefined)
      return {
        path,
        message:
          'Found no "state.folder", where the account, keys and certificates are kept. Set it: without it each start would order again, and soon be refused.',
      };
    const same = plans.slice(0, index).find((each) => identifyCertificate(each.acme) === identifyCertificate(acme));
    if (same === undefined || isDeepStrictEqual(same.acme, acme)) return [];
    const message = `Found the same names as in listen[${same.at}], ${quoteValue(acme.names[0])} first, with other settings. One certificate is ordered in one way: write the same settings.`;
    return { path, message };
  });
  return [...others, ...taken];
}

/** The listener for `http-01` is bound to all addresses: no other one can have its port. */
function findTakenPort(
  { challenge }: AcmePlan,
  at: number,
  listeners: readonly AcmeListener[],
  sidecarPort: number | undefined,
): Problem[] {
  if (challenge.type !== "http-01" || !("port" in challenge)) return [];
  const { port } = challenge;
  // Where the socket of a name is, the service manager says.
  const other = listeners.findIndex((listener) => listener.port === port && listener.name === undefined);
  const owner = other >= 0 ? `listen[${other}]` : sidecarPort === port ? "the sidecar" : undefined;
  if (owner === undefined) return [];
  const message = `Port ${port} is that of ${owner}, and "http-01" needs it for itself while the authority looks. Set "httpPort" to another that port 80 of the names leads to, or "challenge" to "tls-alpn-01".`;
  return [{ path: ["listen", at, "tls", "acme", "httpPort"], message }];
}

/** Warns of authorities that `clients` keeps out: they look from addresses that nobody knows before. */
export function findAcmeWarnings(listeners: readonly AcmeListener[], clients: object | undefined): Problem[] {
  if (clients === undefined) return [];
  return listeners.flatMap(({ acme }, at) => {
    if (acme?.challenge.type !== "tls-alpn-01" || !LETS_ENCRYPTS.has(acme.directory)) return [];
    const message =
      '"clients" lets only some addresses connect, and Let\'s Encrypt looks from several that it does not publish: with "tls-alpn-01" over this listener it is refused. Set "challenge" to "http-01" or "dns-01".';
    return { path: ["listen", at, "tls", "acme", "challenge"], message };
  });
}
