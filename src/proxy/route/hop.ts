import type { Endpoint } from "../../address/endpoint.ts";
import type { Secret } from "../../secret.ts";
import type { ProxyProtocolVersion } from "../policy/decision.ts";
import type { UserTemplate } from "./user-template.ts";

/** How to speak to one upstream proxy. */
export type HopKind = "http" | "https" | "socks5" | "socks5h" | "socks4a";

export interface HopTls {
  /** Name to verify and to send as SNI; the host of the hop unless told otherwise. */
  readonly serverName: string;
  /** PEM texts of extra roots; the bundled ones when absent. */
  readonly ca?: readonly string[];
  /** PEM texts of the client certificate chain and its key. */
  readonly cert?: string;
  readonly key?: string;
  /** The file of `cert`, as the configuration names it, for reports. */
  readonly certFile?: string;
}

/** One upstream proxy of a route, as compiled from the configuration. */
export interface Hop {
  /** Name in the configuration, for rules, records and metrics. */
  readonly name: string;
  readonly kind: HopKind;
  readonly endpoint: Endpoint;
  /** `resolveLogin` makes them what is sent for a request. */
  readonly credentials?: { readonly user: string | UserTemplate; readonly password: Secret };
  /** The only scheme in which an HTTP upstream gets them; undefined for Basic unless it asks for Digest. */
  readonly auth?: "basic" | "digest";
  /** Version of the PROXY protocol header that tells this upstream of the client, first thing on a connection to it. */
  readonly proxyProtocol?: ProxyProtocolVersion;
  readonly tls?: HopTls;
  /** Plain HTTP goes through a tunnel, too, instead of being forwarded by the upstream. */
  readonly tunnelHttp?: true;
  /** Local address to connect from (only the first hop of a chain has use for it). */
  readonly sourceAddress?: string;
  /** The upstream whose PAC file has named it; undefined for one of the configuration. */
  readonly ofPac?: string;
}
