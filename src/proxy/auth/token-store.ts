import { NO_PARAMETERS, type UserNames } from "../../protocol/user-parameters.ts";

/** Users who show a token (JWT, RFC 7519) that somebody else has signed. */
export interface TokenStore {
  readonly kind: "token";
  readonly keys: KeySource;
  readonly demands: TokenDemands;
  /** Equal for the same source of keys, also in the configuration after a reload. */
  readonly keysId: string;
  /** Equal when the same tokens are valid, as long as the keys are the same. */
  readonly id: string;
}

/** Where the public keys (JWK set, RFC 7517 §5) come from. */
export type KeySource =
  | { readonly kind: "file"; readonly text: string }
  | {
      readonly kind: "url";
      readonly url: string;
      /** PEM texts of the only roots to trust; those of the program when absent. */
      readonly ca: readonly string[] | undefined;
      /** Milliseconds after which the keys are fetched again, and for an answer. */
      readonly refreshMs: number;
      readonly timeoutMs: number;
    };

/** What a token must have. */
export interface TokenDemands {
  readonly issuer: string;
  /** One of them must be in the token. */
  readonly audience: readonly string[];
  /** Asymmetric ones only. */
  readonly algorithms: readonly string[];
  /** The claim with the name of the user. */
  readonly user: string;
  /** Claims with the values of which a token must have one. */
  readonly claims: readonly (readonly [name: string, values: readonly string[]])[];
  /** Seconds for which the clock of the issuer may differ. */
  readonly leewaySeconds: number;
}

/** A token that was verified. Times are seconds since the epoch, leeway included. */
export interface VerifiedToken {
  readonly user: string;
  readonly notBefore: number;
  readonly expiresAt: number;
}

/** Why a token is refused. `note` has nothing that the client sent. */
export interface TokenRefusal {
  readonly detail: "token_invalid" | "token_expired" | "keys_unavailable";
  readonly note: string;
}

export type TokenFinding = { readonly token: VerifiedToken } | { readonly refusal: TokenRefusal };

/** Bytes of UTF-8 that a user name may have, as of other users. */
const MAX_USER_BYTES = 255;

/** Makes a store of tokens. `parameters` are those of user names: no user of a token may seem to have some. */
export function createTokenStore(keys: KeySource, demands: TokenDemands, parameters: readonly string[]): TokenStore {
  const keysId = hash(keys);
  return { kind: "token", keys, demands, keysId, id: hash([keysId, demands, parameters]) };
}

function hash(value: unknown): string {
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(value)).digest("base64");
}

/**
 * Whether the claim of a token can be a user name: 1 to 255 bytes of UTF-8, nothing that changes how a line of a
 * log looks. A colon is allowed (`repo:org/name:ref:main`): no such name has to go through Basic. A name that
 * reads as another user with parameters is refused: whoever chooses names at the issuer would choose parameters, too.
 */
export function findTokenUserFault(user: unknown, names: UserNames | undefined): string | undefined {
  if (typeof user !== "string" || user === "") return "names no user";
  if (!user.isWellFormed() || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(user))
    return "names a user with characters that no user name can have";
  if (Buffer.byteLength(user) > MAX_USER_BYTES) return "names a user with more than 255 bytes";
  const read = names?.read(user);
  return read === undefined || (read.ok && (read.parameters ?? NO_PARAMETERS) === NO_PARAMETERS)
    ? undefined
    : "names a user whose name ends in a parameter";
}

/** Says why a token that was verified before is not valid at `now` (milliseconds since the epoch); undefined while it is. */
export function findTimeFault({ notBefore, expiresAt }: VerifiedToken, now: number): TokenRefusal | undefined {
  if (now / 1000 >= expiresAt) return { detail: "token_expired", note: "the token has expired" };
  if (now / 1000 < notBefore) return { detail: "token_invalid", note: "the token is not valid yet" };
  return undefined;
}
