import { isDeepStrictEqual } from "node:util";

import {
  createServerTls,
  type ServerCertificate,
  type ServerTls,
  type ServerTlsOptions,
} from "../../net/runtime/server-tls.ts";
import type { TlsContexts } from "../../net/runtime/tls-contexts.ts";

/** A certificate with its file and its expiry. */
export interface ListenerCertificate extends ServerCertificate {
  /** Its file, as the configuration names it. */
  readonly file: string;
  /** Milliseconds since the epoch after which no client accepts it. */
  readonly expiresAt: number;
}

/** The TLS settings of a listener. */
export interface TlsPlan extends ServerTlsOptions {
  readonly certificates: readonly [ListenerCertificate, ...ListenerCertificate[]];
}

export type ListenerTlsResult =
  { readonly ok: true; readonly tls: ListenerTls } | { readonly ok: false; readonly message: string };

/** The TLS settings in use. A connection reads `current` once, so replacing it ends no connection. */
export interface ListenerTls {
  readonly current: ServerTls;
  /** Milliseconds since the epoch at which the first of its certificates expires. */
  readonly expiresAt: number;
  readonly certificates: readonly ListenerCertificate[];
  /** Uses other certificates for new connections; keeps the old ones when the TLS library refuses the new. */
  replace(plan: TlsPlan): { readonly ok: true } | { readonly ok: false; readonly message: string };
  /** The first half of `replace`: nothing changes before `commit`. Equal certificates keep the keys of session tickets. */
  prepare(plan: TlsPlan): PreparedTls;
}

type PreparedTls = { readonly ok: true; commit(): void } | { readonly ok: false; readonly message: string };

/** Prepares the TLS library; `contexts` are those of all listeners. The message of a failure names the file that the library refuses. */
export function createListenerTls(plan: TlsPlan, contexts: TlsContexts): ListenerTlsResult {
  const first = load(plan, contexts);
  if (!first.ok) return first;
  let inUse = first;
  let planInUse = plan;
  const prepare = (next: TlsPlan): PreparedTls => {
    const loaded = isDeepStrictEqual(next, planInUse) ? inUse : load(next, contexts);
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
        return planInUse.certificates;
      },
      replace(next) {
        const prepared = prepare(next);
        if (!prepared.ok) return prepared;
        prepared.commit();
        return { ok: true };
      },
    },
  };
}

type Loaded =
  | { readonly ok: true; readonly tls: ServerTls; readonly expiresAt: number }
  | { readonly ok: false; readonly message: string };

function load(plan: TlsPlan, contexts: TlsContexts): Loaded {
  const created = createServerTls(plan, contexts);
  if (!created.ok) {
    const file = plan.certificates[created.at]?.file;
    return { ok: false, message: `Cannot use the certificate ${JSON.stringify(file)}: ${created.reason}.` };
  }
  return {
    ok: true,
    tls: created.tls,
    expiresAt: Math.min(...plan.certificates.map(({ expiresAt }) => expiresAt)),
  };
}
