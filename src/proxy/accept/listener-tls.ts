import type { AddressSet } from "../../address/address-set.ts";
import {
  createServerTls,
  type ServerCertificate,
  type ServerTls,
  type ServerTlsOptions,
} from "../../net/runtime/server-tls.ts";
import type { ClientProtocol } from "../record/request-record.ts";

/** What a listener asks of a connection before its first request. */
export interface Listener {
  /** `host:port` as bound. */
  readonly name: string;
  /** What may be spoken here. */
  readonly protocols: ReadonlySet<ClientProtocol>;
  /** Peers that must say with a PROXY header whom they speak for; nobody else may. */
  readonly proxyFrom: AddressSet;
  /** The server's side of TLS as it is now: certificates may change while the listener stands. */
  readonly tls: { readonly current: ServerTls } | undefined;
}

/** A certificate with what people need to know of it. */
export interface ListenerCertificate extends ServerCertificate {
  /** Its file, as the configuration names it. */
  readonly file: string;
  /** Milliseconds since the epoch after which no client accepts it. */
  readonly expiresAt: number;
}

/** What a listener shows to clients that speak TLS. */
export interface TlsPlan extends ServerTlsOptions {
  readonly certificates: readonly [ListenerCertificate, ...ListenerCertificate[]];
}

export type ListenerTlsResult =
  { readonly ok: true; readonly tls: ListenerTls } | { readonly ok: false; readonly message: string };

/** What a listener shows now. A connection takes `current` once; replacing it drops nobody. */
export interface ListenerTls {
  readonly current: ServerTls;
  /** Milliseconds since the epoch at which the first of its certificates expires. */
  readonly expiresAt: number;
  /** Puts other certificates into effect for new connections; leaves the old ones when the TLS library refuses these. */
  replace(plan: TlsPlan): { readonly ok: true } | { readonly ok: false; readonly message: string };
}

/** Makes what the TLS library needs. What it refuses, though it reads as PEM, is told with the file. */
export function createListenerTls(plan: TlsPlan): ListenerTlsResult {
  const first = load(plan);
  if (!first.ok) return first;
  let inUse = first;
  return {
    ok: true,
    tls: {
      get current() {
        return inUse.tls;
      },
      get expiresAt() {
        return inUse.expiresAt;
      },
      replace(next) {
        const loaded = load(next);
        if (!loaded.ok) return loaded;
        inUse = loaded;
        return { ok: true };
      },
    },
  };
}

type Loaded =
  | { readonly ok: true; readonly tls: ServerTls; readonly expiresAt: number }
  | { readonly ok: false; readonly message: string };

function load(plan: TlsPlan): Loaded {
  const created = createServerTls(plan);
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
