import { type Endpoint, parseHostField } from "../../address/endpoint.ts";
import { CONNECTION, EXPECT, HOST, MAX_FORWARDS, TE, UPGRADE } from "../../protocol/http1/field-names.ts";
import { hasToken } from "../../protocol/http1/field-lists.ts";
import { bitOf, type Fields } from "../../protocol/http1/fields.ts";
import { stripHopByHop } from "../../protocol/http1/hop-by-hop.ts";
import { checkHostField } from "../../protocol/http1/host-field.ts";
import { canonicaliseLength, frameRequest, type RequestFraming } from "../../protocol/http1/message-framing.ts";
import { allowsNextRequest } from "../../protocol/http1/persistence.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import { parseRequestTarget, type RequestTargetError } from "../../protocol/http1/request-target.ts";
import { findUpgrade } from "../../protocol/http1/upgrade.ts";
import { canonicalisePath, type RequestFacts } from "../policy/request-condition.ts";
import { fail, type FailureDetail, type Outcome, succeed } from "../failure.ts";

/** A client's wish for one exchange with an origin: a request in absolute-form (RFC 9112 §3.2.2). */
export interface ForwardRequest {
  readonly kind: "forward";
  readonly target: Endpoint;
  readonly scheme: "http" | "https";
  /** As it came. */
  readonly head: RequestHead;
  /** What the origin is asked for: begins with `/`, or is `*`. */
  readonly path: string;
  /** The fields that go on: without Host and without what is for one hop only. */
  readonly fields: Fields;
  readonly framing: Exclude<RequestFraming, { readonly kind: "bad" }>;
  /** Protocols to switch to that the next hop is asked for, as the client lists them; undefined for none. */
  readonly upgrade: string | undefined;
  /** The client takes trailers (RFC 9110 §10.1.4). */
  readonly takesTrailers: boolean;
  /** How many more proxies may pass the request on; only of TRACE and OPTIONS (RFC 9110 §7.6.2). */
  readonly maxForwards: number | undefined;
  /** Trailers that are not passed on, by `foldName`. */
  readonly withheld?: ReadonlySet<string>;
  /** The client's connection can carry another request after this one (RFC 9112 §9.3). */
  readonly keepsClient: boolean;
}

/** Reads a request that is to be forwarded: everything about it that can be wrong is found here, before anybody is dialled. */
export function readForwardRequest(head: RequestHead): Outcome<ForwardRequest> {
  const target = parseRequestTarget(head.method, head.target);
  if (target.kind === "bad") return fail(judgeTarget(target.code), { note: target.code });
  if (target.value.form !== "absolute") return fail("not_for_a_proxy", { note: `${target.value.form}-form` });
  const { scheme, authority, pathAndQuery } = target.value;
  const named = parseHostField(authority, scheme === "https" ? 443 : 80);
  if (!named.ok) return fail("bad_target", { note: named.code });

  const hostFault = checkHostField(head);
  if (hostFault !== undefined) return fail("malformed_request", { note: hostFault });
  const framing = frameRequest(head);
  if (framing.kind === "bad") return fail("malformed_request", { note: framing.code });
  // RFC 9110 §10.1.1: a 1.0 client cannot mean what it says with Expect.
  const isOld = head.version === "1.0";
  const stripped = stripHopByHop(head.fields, isOld ? bitOf(HOST) | bitOf(EXPECT) : bitOf(HOST));
  if (stripped.kind === "bad") return fail("malformed_request", { note: stripped.code });
  const maxForwards = readMaxForwards(head);
  if (maxForwards === "bad") return fail("malformed_request", { note: "bad_max_forwards" });

  const hasBody = framing.kind === "chunked" || (framing.kind === "length" && framing.length > 0);
  return succeed({
    kind: "forward",
    target: named.endpoint,
    scheme,
    head,
    path: pathAndQuery,
    fields: framing.kind === "length" ? canonicaliseLength(stripped.fields) : stripped.fields,
    framing,
    upgrade: isOld || hasBody ? undefined : readUpgrade(head.fields),
    takesTrailers: !isOld && hasToken(head.fields, TE, "trailers"),
    maxForwards,
    keepsClient: allowsNextRequest(head),
  });
}

/**
 * What rules can see of a request. Undefined when it asks to switch protocols:
 * what follows then has methods and paths that nobody sees, as in a tunnel.
 */
export function describeToRules({ head, path, upgrade }: ForwardRequest): RequestFacts | undefined {
  return upgrade === undefined ? { method: head.method, path: canonicalisePath(path) } : undefined;
}

function readUpgrade(fields: Fields): string | undefined {
  if (!fields.has(UPGRADE) || !hasToken(fields, CONNECTION, "upgrade")) return undefined;
  return findUpgrade(fields.getAll(UPGRADE));
}

function readMaxForwards({ method, fields }: RequestHead): number | undefined | "bad" {
  if (method !== "TRACE" && method !== "OPTIONS") return undefined;
  const found = fields.getOne(MAX_FORWARDS);
  if (found.kind === "none") return undefined;
  return found.kind === "one" && /^[0-9]{1,9}$/.test(found.value) ? Number(found.value) : "bad";
}

function judgeTarget(code: RequestTargetError): FailureDetail {
  return code === "bad_path" || code === "bad_target_form" ? "malformed_request" : "bad_target";
}
