import { type Endpoint, parseAuthority, parseHostField, sameHost } from "../../address/endpoint.ts";
import { findHostField } from "../../protocol/http1/host-field.ts";
import { frameRequest } from "../../protocol/http1/message-framing.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import { fail, type Outcome, succeed } from "../failure.ts";

/** A client's wish for a tunnel, whatever protocol it was uttered in. */
export interface TunnelRequest {
  readonly kind: "tunnel";
  readonly target: Endpoint;
}

/**
 * Reads a CONNECT request (RFC 9110 §9.3.6): authority-form with a port, a
 * `Host` that agrees, and no content, since nobody could tell content from the
 * first bytes of the tunnel.
 */
export function readConnect(head: RequestHead): Outcome<TunnelRequest> {
  const wish = readAuthority(head.target);
  if (!wish.ok) return wish;

  const disagreement = compareHostField(head, wish.value.target);
  if (disagreement !== undefined) return disagreement;

  const framing = frameRequest(head);
  if (framing.kind === "bad") return fail("malformed_request", { note: framing.code });
  return wish;
}

/** Targets that were read lately: most tunnels lead to one of a few. Only what is valid, and not much. */
const authorities = new Map<string, Outcome<TunnelRequest>>();
const MAX_AUTHORITIES = 256;

function readAuthority(text: string): Outcome<TunnelRequest> {
  const before = authorities.get(text);
  if (before !== undefined) return before;
  // A part of a text keeps the whole of it in memory, and a tunnel its target: for days, perhaps.
  const own = Buffer.from(text, "latin1").toString("latin1");
  const read = parseAuthority(own);
  if (!read.ok) return fail("bad_target", { note: read.code });
  const wish: Outcome<TunnelRequest> = succeed({ kind: "tunnel", target: read.endpoint });
  if (authorities.size === MAX_AUTHORITIES) authorities.clear();
  authorities.set(own, wish);
  return wish;
}

/** RFC 9112 §3.2: HTTP/1.1 carries exactly one `Host`; what it names is the target, the port may be left out. */
function compareHostField(head: RequestHead, target: Endpoint): ReturnType<typeof fail> | undefined {
  const host = findHostField(head);
  if (host.kind === "none") return undefined;
  if (host.kind === "bad") return fail("malformed_request", { note: host.code });
  if (host.value === head.target) return undefined;
  const named = parseHostField(host.value, target.port);
  if (!named.ok) return fail("host_mismatch", { note: named.code });
  if (!sameHost(named.endpoint.host, target.host) || named.endpoint.port !== target.port) return fail("host_mismatch");
  return undefined;
}
