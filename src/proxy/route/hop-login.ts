import type { Secret } from "../../secret.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import type { Hop } from "./hop.ts";
import { type NamedRequester, USER_PLACEHOLDER } from "./user-template.ts";

/** Our credentials at an upstream, for one request. */
export interface Login {
  readonly user: string;
  readonly password: Secret;
}

/** Bytes of a user name that SOCKS can carry (RFC 1929 §2). */
const MAX_SOCKS_BYTES = 255;

const NONE: Outcome<undefined> = succeed(undefined);

/** Finds our credentials at an upstream for a request; undefined where there are none. Fails when the request lacks a value for them. */
export function resolveLogin(hop: Hop, from: NamedRequester): Outcome<Login | undefined> {
  const { credentials, name, kind } = hop;
  if (credentials === undefined) return NONE;
  const { user: wanted, password } = credentials;
  if (typeof wanted === "string") return succeed({ user: wanted, password });
  const resolved = wanted.resolve(from);
  if (!resolved.ok) {
    const { missing } = resolved;
    const what = missing === USER_PLACEHOLDER ? "a user" : `the parameter ${missing}`;
    return fail("parameters_unfit", { note: `the user name for it needs ${what}`, nextHop: name });
  }
  const { user } = resolved;
  if (kind !== "http" && kind !== "https" && Buffer.byteLength(user) > MAX_SOCKS_BYTES)
    return fail("parameters_unfit", { note: `the user name for it exceeds ${MAX_SOCKS_BYTES} bytes`, nextHop: name });
  return succeed({ user, password });
}

/** A part of the key of connections through an upstream: the same only for requests with the same login there. It has no spaces. */
export function identifyLogin({ credentials }: Hop, from: NamedRequester): string {
  return credentials === undefined || typeof credentials.user === "string"
    ? ""
    : `as${credentials.user.identify(from)}`;
}
