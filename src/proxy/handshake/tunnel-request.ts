import { type Endpoint, parseAuthority, parseHostField, sameHost } from "../../address/endpoint.ts";
import { getAll } from "../../protocol/http1/fields.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import { fail, type Outcome, succeed } from "../failure.ts";

/** What a client shows to say who it is. */
export type Presented =
  /** Values of the `Proxy-Authorization` fields, as sent. */
  { readonly kind: "fields"; readonly values: readonly string[] };

/** A client's wish for a tunnel, whatever protocol it was uttered in. */
export interface TunnelRequest {
  readonly target: Endpoint;
  readonly presented: Presented;
}

/**
 * Reads a CONNECT request (RFC 9110 §9.3.6): authority-form with a port, a
 * `Host` that agrees, and no content, since nobody could tell content from the
 * first bytes of the tunnel.
 */
export function readTunnelRequest(head: RequestHead): Outcome<TunnelRequest> {
  const parsed = parseAuthority(head.target);
  if (!parsed.ok) return fail("bad_target", { note: parsed.code });

  const disagreement = compareHostField(head, parsed.endpoint);
  if (disagreement !== undefined) return disagreement;

  const lengths = getAll(head.fields, "content-length");
  if (getAll(head.fields, "transfer-encoding").length > 0 || lengths.some((length) => length !== "0")) {
    return fail("malformed_request", { note: "content_in_connect" });
  }
  return succeed({
    target: parsed.endpoint,
    presented: { kind: "fields", values: getAll(head.fields, "proxy-authorization") },
  });
}

/** RFC 9112 §3.2: HTTP/1.1 carries exactly one `Host`; what it names is the target, the port may be left out. */
function compareHostField(head: RequestHead, target: Endpoint): ReturnType<typeof fail> | undefined {
  const hosts = getAll(head.fields, "host");
  if (hosts.length > 1) return fail("malformed_request", { note: "two_host_fields" });
  const [value] = hosts;
  if (value === undefined) {
    return head.version === "1.0" ? undefined : fail("malformed_request", { note: "no_host_field" });
  }
  const named = parseHostField(value, target.port);
  if (!named.ok) return fail("host_mismatch", { note: named.code });
  if (!sameHost(named.endpoint.host, target.host) || named.endpoint.port !== target.port) return fail("host_mismatch");
  return undefined;
}
