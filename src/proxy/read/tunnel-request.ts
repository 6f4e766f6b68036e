import { type Endpoint, parseAuthority } from "../../address/endpoint.ts";
import { checkHostField } from "../../protocol/http1/host-field.ts";
import { frameRequest } from "../../protocol/http1/message-framing.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import { fail, type Outcome, succeed } from "../failure.ts";

/** A request for a tunnel, in any protocol. */
export interface TunnelRequest {
  readonly kind: "tunnel";
  readonly target: Endpoint;
}

/**
 * Reads a CONNECT request (RFC 9110 §9.3.6): authority-form with a port, and no
 * content, which could not be told from the first bytes of the tunnel. The
 * authority is the target. Host is not compared with it: clients name the proxy,
 * leave the port out or leave Host out, and Host is not sent on.
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

/** Targets of recent CONNECT requests: most tunnels lead to a few. Holds up to 256 valid ones. */
export class ConnectTargets {
  readonly #requests = new Map<string, Outcome<TunnelRequest>>();

  read(authority: string): Outcome<TunnelRequest> {
    const known = this.#requests.get(authority);
    if (known !== undefined) return known;
    // A substring keeps the whole head in memory, and a tunnel keeps its target.
    const own = Buffer.from(authority, "latin1").toString("latin1");
    const parsed = parseAuthority(own);
    if (!parsed.ok) return fail("bad_target", { note: parsed.code });
    const request: Outcome<TunnelRequest> = succeed({ kind: "tunnel", target: parsed.endpoint });
    if (this.#requests.size === MAX_TARGETS) this.#requests.clear();
    this.#requests.set(own, request);
    return request;
  }
}
