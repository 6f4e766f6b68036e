import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { type AcmePlan, type ChallengePlan, identifyCertificate } from "../acme/acme-plan.ts";
import { type AcmeSettings, readAcmeName } from "./acme-schema.ts";
import type { Materials } from "./materials.ts";
import { findAuthorityFaults, listPaths } from "./pem.ts";
import { type Problem, quoteValue, readAccepted } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import { findSecret } from "./secrets.ts";

const LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory";

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

/** What only all listeners together show: nowhere to keep things, and one certificate that is to be ordered in two ways. */
export function findAcmeProblems(
  listeners: readonly { readonly acme?: AcmePlan }[],
  state: object | undefined,
): Problem[] {
  const plans = listeners.flatMap(({ acme }, at) => (acme === undefined ? [] : { acme, at }));
  return plans.flatMap(({ acme, at }, index) => {
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
}
