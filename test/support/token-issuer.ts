import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

export const ISSUER = "https://id.test/";
export const AUDIENCE = "penstock";

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;

/** Signs tokens, and serves its public keys on loopback. */
export interface TokenIssuer extends AsyncDisposable {
  readonly url: string;
  /** How often the keys were asked for. */
  readonly asked: () => number;
  /** The key set as it is served now. */
  readonly jwks: () => { keys: JWK[] };
  /** Adds a key of that algorithm, and signs with it from now on. */
  rotate(alg: string, kid: string): Promise<void>;
  /** Takes a key out of the set. */
  withdraw(kid: string): void;
  /** Answers in another way from now on. */
  answerWith(answer: ((request: Request) => Response | Promise<Response>) | undefined): void;
  sign(claims?: Readonly<Record<string, unknown>>, header?: Record<string, unknown>): Promise<string>;
}

/** Seconds since the epoch, `seconds` from now. */
export function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

export async function startIssuer(alg = "ES256"): Promise<TokenIssuer> {
  let keys: JWK[] = [];
  let current: { readonly pair: Keys; readonly alg: string; readonly kid: string } | undefined;
  let asked = 0;
  let answer: ((request: Request) => Response | Promise<Response>) | undefined;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      asked += 1;
      return answer?.(request) ?? Response.json({ keys });
    },
  });
  const issuer: TokenIssuer = {
    url: `http://127.0.0.1:${server.port}/jwks`,
    asked: () => asked,
    jwks: () => ({ keys }),
    async rotate(next, kid) {
      const pair = await generateKeyPair(next, { extractable: true });
      current = { pair, alg: next, kid };
      keys = [...keys, { ...(await exportJWK(pair.publicKey)), kid, alg: next, use: "sig" }];
    },
    withdraw(kid) {
      keys = keys.filter((key) => key.kid !== kid);
    },
    answerWith(next) {
      answer = next;
    },
    sign(claims = {}, header = {}) {
      if (current === undefined) throw new Error("There is no key yet");
      const payload: JWTPayload = { iss: ISSUER, aud: AUDIENCE, sub: "ann", exp: inSeconds(300), ...claims };
      const protectedHeader = { alg: current.alg, kid: current.kid, ...header };
      return new SignJWT(payload).setProtectedHeader(protectedHeader).sign(current.pair.privateKey);
    },
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
  await issuer.rotate(alg, "first");
  return issuer;
}

/** A token whose parts are as given, with any text for a signature. */
export function forge(header: unknown, payload: unknown, signature = ""): string {
  const encode = (part: unknown) =>
    Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");
  return `${encode(header)}.${encode(payload)}.${signature}`;
}
