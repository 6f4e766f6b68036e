import { type Endpoint, parseAuthority } from "../../address/endpoint.ts";
import { checkHostField } from "../../protocol/http1/host-field.ts";
import { frameRequest } from "../../protocol/http1/message-framing.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import { fail, type Outcome, succeed } from "../failure.ts";

/** A client's wish for a tunnel, whatever protocol it was uttered in. */
export interface TunnelRequest {
  readonly kind: "tunnel";
  readonly target: Endpoint;
}

/**
 * Reads a CONNECT request (RFC 9110 §9.3.6): authority-form with a port, and no
 * content, since nobody could tell content from the first bytes of the tunnel.
 * The authority decides; what Host names is not compared, since clients name the
 * proxy, leave the port out or leave Host out, and none of it goes on.
 */
export function readConnect(head: RequestHead): Outcome<TunnelRequest> {
  const wish = readAuthority(head.target);
  if (!wish.ok) return wish;

  const hostFault = checkHostField(head);
  if (hostFault !== undefined) return fail("malformed_request", { note: hostFault });

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
