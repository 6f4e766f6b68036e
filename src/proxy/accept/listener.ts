import type { AddressSet } from "../../address/address-set.ts";
import type { ServerTls } from "../../net/runtime/server-tls.ts";
import type { ClientProtocol } from "../record/request-record.ts";

/** A listener, as far as its connections need it. */
export interface Listener {
  /** `host:port` as bound. */
  readonly name: string;
  /** The protocols that it serves. */
  readonly protocols: ReadonlySet<ClientProtocol>;
  /** Peers that must begin with a PROXY header. Other peers may not. */
  readonly proxyFrom: AddressSet;
  /** The current TLS settings; undefined in clear. A reload replaces certificates. */
  readonly tls: { readonly current: ServerTls } | undefined;
}
