import { formatEndpoint } from "../../address/endpoint.ts";
import type { Ip } from "../../address/ip.ts";
import type { ForwardRequest } from "../read/forward-request.ts";
import { identifyLogin } from "../route/hop-login.ts";
import type { Hop } from "../route/hop.ts";
import type { Route } from "../route/route.ts";
import type { NamedRequester } from "../route/user-template.ts";
import type { ForwardSettings } from "./forward-settings.ts";
import type { AllowDecision, Grant } from "../policy/decision.ts";
import type { DialWish } from "../dial/dial-context.ts";

/** How a request gets to its origin, and which connections may be used again for it. */
export interface OriginRoute {
  /** Equal keys may share a connection: same target, route, credentials and permissions. */
  readonly key: string;
  /** Whether a kept connection to that address may be used. */
  readonly fits: (ip: Ip | undefined) => boolean;
  readonly wish: DialWish;
  /** The request is given to an upstream that goes on forwarding. */
  readonly forwarder: Hop | undefined;
  /** Without upstreams. */
  readonly isDirect: boolean;
}

/** Where the origin route leads. */
type Destination = Pick<ForwardRequest, "scheme" | "target">;

/** The client, as a PROXY header names it, and its user. */
export interface RoutedClient extends NamedRequester {
  readonly client: Ip;
  readonly clientPort: number;
}

export interface OriginRouteQuery {
  readonly client: RoutedClient;
  readonly request: Destination;
  readonly route: Route;
  readonly authorized: Grant;
  readonly settings: ForwardSettings;
}

/**
 * Plans the origin route along `route`. Plain HTTP is given to an HTTP upstream at the
 * end of it in absolute-form (RFC 9112 §3.2.2); everything else, and what is to
 * be tunnelled, goes to the origin itself.
 */
export function planOriginRoute(query: OriginRouteQuery, numbers: ObjectNumbers): OriginRoute {
  const { client, request, route, authorized, settings } = query;
  const { decision, addresses, narrowed, foundName } = authorized;
  const { hops, sourceAddress } = route;
  const last = hops.at(-1);
  const via =
    hops.length === 0 ? "" : ` via ${hops.map((hop) => `${numbers.of(hop)}${identifyLogin(hop, client)}`).join(">")}`;
  const line = `${via}${label("from", sourceAddress)}${nameClient(client, route, decision)}`;
  if (last !== undefined && request.scheme === "http" && forwards(last) && decision.tunnelHttp !== true) {
    return {
      key: `forward${line}`,
      fits: anywhere,
      wish: { endAtUpstream: true },
      forwarder: last,
      isDirect: false,
    };
  }

  const isSecure = request.scheme === "https";
  const scope = isSecure ? `https ${numbers.of(settings)}` : "http";
  const chosen =
    last !== undefined && narrowed === true ? (addresses ?? []).map(({ text }) => text).join(",") : undefined;
  const place = `${formatEndpoint(request.target)} ${namePermissions(decision)}${label("at", chosen)}${label("named", foundName)}`;
  return {
    key: `${scope} ${place}${line}`,
    fits:
      last === undefined && addresses !== undefined
        ? (ip: Ip | undefined) => addresses.some(({ text }) => text === ip?.text)
        : anywhere,
    wish: isSecure ? { tls: settings.ca === undefined ? {} : { ca: settings.ca } } : {},
    forwarder: undefined,
    isDirect: last === undefined,
  };
}

/** A part of a key that is not always there. No part has a space in it. */
function label(word: string, value: string | undefined): string {
  return value === undefined ? "" : ` ${word} ${value}`;
}

/** The permissions of a decision: a client must not be led to an address that it may not use. */
function namePermissions({ allowPrivate, exactAddress }: AllowDecision): string {
  if (exactAddress === true) return allowPrivate ? "private exact" : "public exact";
  return allowPrivate ? "private" : "public";
}

/** A connection that began with a PROXY header belongs to one client. */
function nameClient({ client, clientPort }: RoutedClient, { hops }: Route, decision: AllowDecision): string {
  const introduces =
    hops.length === 0 ? decision.proxyProtocol !== undefined : hops.some((hop) => hop.proxyProtocol !== undefined);
  return introduces ? ` for ${client.text} ${clientPort} v${decision.proxyProtocol ?? ""}` : "";
}

function anywhere(): boolean {
  return true;
}

function forwards(hop: Hop): boolean {
  return (hop.kind === "http" || hop.kind === "https") && hop.tunnelHttp !== true;
}

/** Numbers for objects of the configuration: after a reload an upstream of the same name is another one. */
export class ObjectNumbers {
  readonly #numbers = new WeakMap<object, number>();
  #last = 0;

  of(part: object): number {
    let number = this.#numbers.get(part);
    if (number === undefined) {
      this.#last += 1;
      number = this.#last;
      this.#numbers.set(part, number);
    }
    return number;
  }
}
