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
export function readConnect(head: RequestHead, targets: ConnectTargets): Outcome<TunnelRequest> {
  const request = targets.read(head.target);
  if (!request.ok) return request;

  const hostFault = checkHostField(head);
  if (hostFault !== undefined) return fail("malformed_request", { note: hostFault });

  const framing = frameRequest(head);
  if (framing.kind === "bad") return fail("malformed_request", { note: framing.code });
  return request;
}

const MAX_TARGETS = 256;

/** The targets of CONNECT requests that were read lately: most tunnels lead to one of a few. Only what is valid, and not much. */
export class ConnectTargets {
  readonly #requests = new Map<string, Outcome<TunnelRequest>>();

  read(authority: string): Outcome<TunnelRequest> {
    const known = this.#requests.get(authority);
    if (known !== undefined) return known;
    // A part of a text keeps the whole of it in memory, and a tunnel its target: for days, perhaps.
    const own = Buffer.from(authority, "latin1").toString("latin1");
    const parsed = parseAuthority(own);
    if (!parsed.ok) return fail("bad_target", { note: parsed.code });
    const request: Outcome<TunnelRequest> = succeed({ kind: "tunnel", target: parsed.endpoint });
    if (this.#requests.size === MAX_TARGETS) this.#requests.clear();
    this.#requests.set(own, request);
    return request;
  }
}
