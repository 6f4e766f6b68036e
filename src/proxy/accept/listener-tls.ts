import { isDeepStrictEqual } from "node:util";

import {
  createServerTls,
  type ServerCertificate,
  type ServerTls,
  type ServerTlsOptions,
} from "../../net/runtime/server-tls.ts";
import type { CertificateAndKey, TlsContext, TlsContexts } from "../../net/runtime/tls-contexts.ts";

/** A certificate with its file and its expiry. */
export interface ListenerCertificate extends ServerCertificate {
  /** Its file, as the configuration names it. */
  readonly file: string;
  /** Milliseconds since the epoch after which no client accepts it. */
  readonly expiresAt: number;
  /** Whether the proxy renews it. */
  readonly renewed?: true;
}

/** The TLS settings of a listener. */
export interface TlsPlan extends Omit<ServerTlsOptions, "challenges"> {
  readonly certificates: readonly ListenerCertificate[];
  /** The first certificate is not among those: an authority issues it while the proxy runs. */
  readonly awaitsIssued?: true;
}

export type ListenerTlsResult =
  { readonly ok: true; readonly tls: ListenerTls } | { readonly ok: false; readonly message: string };

type Replaced = { readonly ok: true } | { readonly ok: false; readonly message: string };

/** The TLS settings in use. A connection reads `current` once, so replacing it ends no connection. */
export interface ListenerTls {
  readonly current: ServerTls;
  /** Milliseconds since the epoch at which the first of its certificates expires; `Infinity` while there is none. */
  readonly expiresAt: number;
  readonly certificates: readonly ListenerCertificate[];
  /** Uses other certificates for new connections; keeps the old ones when the TLS library refuses the new. */
  replace(plan: TlsPlan): Replaced;
  /** The first half of `replace`: nothing changes before `commit`. Equal certificates keep the keys of session tickets. */
  prepare(plan: TlsPlan): PreparedTls;
  /** Uses what an authority issued as the first certificate, in place of the one before. */
  issue(certificate: ListenerCertificate): Replaced;
  /** Shows a certificate to an authority that looks for the challenge of a name (RFC 8737); undefined takes it away. */
  showChallenge(name: string, pair: CertificateAndKey | undefined): Replaced;
}

type PreparedTls = { readonly ok: true; commit(): void } | { readonly ok: false; readonly message: string };

/** Prepares the TLS library; `contexts` are those of all listeners. The message of a failure names the file that the library refuses. */
export function createListenerTls(plan: TlsPlan, contexts: TlsContexts): ListenerTlsResult {
  const challenges = new Map<string, TlsContext>();
  let issued: ListenerCertificate | undefined;
  const load = (next: TlsPlan) => loadPlan(complete(next, issued), contexts, challenges);
  const first = load(plan);
  if (!first.ok) return first;
  let inUse = first;
  let planInUse = plan;
  const prepare = (next: TlsPlan): PreparedTls => {
    const loaded = isDeepStrictEqual(next, planInUse) ? inUse : load(next);
    if (!loaded.ok) return loaded;
    return {
      ok: true,
      commit() {
        inUse = loaded;
        planInUse = next;
      },
    };
  };
  return {
    ok: true,
    tls: {
      prepare,
      get current() {
        return inUse.tls;
      },
      get expiresAt() {
        return inUse.expiresAt;
      },
      get certificates() {
        return inUse.certificates;
      },
      replace(next) {
        const prepared = prepare(next);
        if (!prepared.ok) return prepared;
        prepared.commit();
        return { ok: true };
      },
      issue(certificate) {
        const loaded = loadPlan(complete(planInUse, certificate), contexts, challenges);
        if (!loaded.ok) return loaded;
        issued = certificate;
        inUse = loaded;
        return { ok: true };
      },
      showChallenge(name, pair) {
        if (pair === undefined) {
          challenges.delete(name);
          return { ok: true };
        }
        const found = contexts.find(pair, undefined);
        if (!found.ok) return { ok: false, message: `Cannot show the challenge for ${name}: ${found.reason}.` };
        challenges.set(name, found.context);
        return { ok: true };
      },
    },
  };
}

/** All certificates of a plan, what was issued first. */
function complete(plan: TlsPlan, issued: ListenerCertificate | undefined): TlsPlan {
  if (plan.awaitsIssued !== true || issued === undefined) return plan;
  return { ...plan, certificates: [issued, ...plan.certificates] };
}

type Loaded =
  | {
      readonly ok: true;
      readonly tls: ServerTls;
      readonly expiresAt: number;
      readonly certificates: readonly ListenerCertificate[];
    }
  | { readonly ok: false; readonly message: string };

function loadPlan(plan: TlsPlan, contexts: TlsContexts, challenges: ReadonlyMap<string, TlsContext>): Loaded {
  const { certificates, awaitsIssued, ...options } = plan;
  const created = createServerTls({ ...options, certificates, ...(awaitsIssued && { challenges }) }, contexts);
  if (!created.ok) {
    const file = certificates[created.at]?.file;
    return { ok: false, message: `Cannot use the certificate ${JSON.stringify(file)}: ${created.reason}.` };
  }
  return {
    ok: true,
    tls: created.tls,
    expiresAt: Math.min(...certificates.map(({ expiresAt }) => expiresAt)),
    certificates,
  };
}
