import type { JWTPayload, JWTVerifyGetKey } from "jose";
import * as errors from "jose/errors";
import { createLocalJWKSet } from "jose/jwks/local";
import { jwtVerify } from "jose/jwt/verify";
import type { PublicJwk } from "./read-key-set.ts";
import type { TokenDemands, TokenFinding, TokenRefusal } from "./token-store.ts";

/** Public keys, ready to verify with. */
export type PublicKeys = JWTVerifyGetKey;

/** Makes a key set ready; undefined when it cannot be used at all. */
export function preparePublicKeys(keys: readonly PublicJwk[]): PublicKeys | undefined {
  try {
    return createLocalJWKSet({ keys: [...keys] });
  } catch {
    return undefined;
  }
}

export type TokenVerification = TokenFinding | "unknown key";

/**
 * Verifies signature, issuer, audience, times and claims of a token at `now` (milliseconds since the epoch). What
 * a token says of itself is told only after its signature was verified. `findUserFault` judges the name of the user.
 */
export async function verifyToken(
  token: string,
  keys: PublicKeys,
  demands: TokenDemands,
  findUserFault: (user: unknown) => string | undefined,
  now: number,
): Promise<TokenVerification> {
  const { issuer, audience, algorithms, leewaySeconds } = demands;
  let payload: JWTPayload;
  try {
    const options = {
      issuer,
      audience: [...audience],
      algorithms: [...algorithms],
      clockTolerance: leewaySeconds,
      requiredClaims: ["exp"],
      currentDate: new Date(now),
    };
    ({ payload } = await jwtVerify(token, keys, options));
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return "unknown key";
    return { refusal: explain(error) };
  }
  const { exp = 0, nbf = 0 } = payload;
  if (!Number.isFinite(exp) || !Number.isFinite(nbf)) return refuse("has a time that is no number");
  const user = payload[demands.user];
  const userFault = findUserFault(user);
  if (userFault !== undefined || typeof user !== "string") return refuse(userFault ?? "names no user");
  const missing = demands.claims.find(([name, values]) => !holdsOne(payload[name], values));
  if (missing !== undefined) return refuse(`has none of the wanted values in the claim ${JSON.stringify(missing[0])}`);
  return { token: { user, notBefore: nbf - leewaySeconds, expiresAt: exp + leewaySeconds } };
}

/** A claim is a text or a list of texts (`groups`), or texts with spaces between them (`scope`, RFC 8693 §4.2). */
function holdsOne(claim: unknown, wanted: readonly string[]): boolean {
  if (typeof claim === "boolean" || typeof claim === "number") return wanted.includes(String(claim));
  const given: unknown[] = typeof claim === "string" ? [claim, ...claim.split(" ")] : Array.isArray(claim) ? claim : [];
  return given.some((each) => typeof each === "string" && wanted.includes(each));
}

function explain(error: unknown): TokenRefusal {
  if (error instanceof errors.JWTExpired) return { detail: "token_expired", note: "the token has expired" };
  if (error instanceof errors.JWSSignatureVerificationFailed) return wrong("has a wrong signature");
  if (error instanceof errors.JOSEAlgNotAllowed) return wrong("is signed with an algorithm that is not accepted");
  if (error instanceof errors.JWKSMultipleMatchingKeys) return wrong("names no key, and several keys would fit");
  if (error instanceof errors.JWTClaimValidationFailed) return wrong(explainClaim(error.claim, error.reason));
  return wrong("cannot be read");
}

function explainClaim(claim: string, reason: string): string {
  if (reason === "missing") return `has no claim ${JSON.stringify(claim)}`;
  if (claim === "nbf") return "is not valid yet";
  if (claim === "iss") return "is of another issuer";
  return claim === "aud" ? "is for another audience" : `has a wrong claim ${JSON.stringify(claim)}`;
}

function refuse(rest: string): { readonly refusal: TokenRefusal } {
  return { refusal: wrong(rest) };
}

function wrong(rest: string): TokenRefusal {
  return { detail: "token_invalid", note: `the token ${rest}` };
}
