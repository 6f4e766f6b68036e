import { describe, expect, test } from "bun:test";
import { answerDigestChallenge, chooseDigestChallenge } from "../../../../src/protocol/http1/digest.ts";
import { DigestNonces } from "../../../../src/proxy/auth/digest-nonces.ts";
import { type AuthRequest, DigestVerifier, supportsDigest } from "../../../../src/proxy/auth/digest-verifier.ts";
import { Secret } from "../../../../src/secret.ts";
import { createFunctionStore, createUserStore, type UserStore } from "../../../../src/proxy/auth/user-store.ts";

const BCRYPT = "$2y$05$fIV1YdoAGCwtA7wE1IAwhOqjQGo5hmII2eFNYGoj92H9VCE/uy/aa";

function createStore(users: Record<string, string>): UserStore {
  const result = createUserStore(
    Object.entries(users).map(([name, password]) => ({ name, password: new Secret(password) })),
  );
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.store;
}

function createVerifier(users: Record<string, string> = { alice: "pw", hashed: BCRYPT }) {
  const store = createStore(users);
  if (!supportsDigest(store)) throw new Error("no plain password");
  const verifier = new DigestVerifier(store, "realm");
  const nonces = new DigestNonces();
  return {
    challenges: (stale: boolean, now: number) => verifier.challenges({ nonces, now: () => now }, stale),
    verify: (value: string, from: AuthRequest, now: number) => verifier.verify(value, from, { nonces, now: () => now }),
  };
}

const request = { method: "CONNECT", target: "example.org:443" };

interface Attempt {
  readonly user?: string;
  readonly password?: string;
  readonly method?: string;
  readonly uri?: string;
  readonly count?: number;
}

/** What a client answers to these challenges. */
function answer(challenges: readonly string[], attempt: Attempt = {}): string {
  const challenge = chooseDigestChallenge(challenges);
  const value =
    challenge &&
    answerDigestChallenge(challenge, {
      user: attempt.user ?? "alice",
      password: new Secret(attempt.password ?? "pw"),
      method: attempt.method ?? "CONNECT",
      uri: attempt.uri ?? "example.org:443",
      counted: { cnonce: "c", nonceCount: attempt.count ?? 1 },
    });
  if (value === undefined) throw new Error("no answer");
  return value;
}

const WRONG = { ok: false, detail: "credentials_wrong" } as const;
const STALE = { ok: false, detail: "credentials_required", stale: true } as const;

describe("DigestVerifier", () => {
  test("challenges with SHA-256 and then MD5, and takes either", () => {
    const verifier = createVerifier();
    const challenges = verifier.challenges(false, 0);
    expect(challenges.map((value) => /algorithm=([^,]+)/.exec(value)?.[1])).toEqual(["SHA-256", "MD5"]);
    for (const [index, challenge] of challenges.entries()) {
      const value = answer([challenge], { count: index + 1 });
      expect(verifier.verify(value, request, 1)).toEqual({ ok: true, user: "alice" });
    }
  });

  test("says no to another password, another request, an unknown user, and one whose password is hashed", () => {
    const verifier = createVerifier();
    const attempts: Attempt[] = [
      { password: "pW" },
      { password: "" },
      { method: "GET" },
      { uri: "example.org:80" },
      { user: "nobody" },
      { user: "nobody", password: "" },
      { user: "hashed", password: "secret" },
      { user: "hashed", password: "" },
      { user: "hashed", password: BCRYPT },
    ];
    for (const attempt of attempts) {
      const value = answer(verifier.challenges(false, 0), attempt);
      expect([attempt, verifier.verify(value, request, 1)]).toEqual([attempt, WRONG]);
    }
  });

  test("says no to an answer that was computed for one target and sent with another", () => {
    const verifier = createVerifier();
    const value = answer(verifier.challenges(false, 0));
    expect(verifier.verify(value, { method: "CONNECT", target: "example.net:443" }, 1)).toEqual(WRONG);
    expect(verifier.verify(value, { method: "GET", target: "example.org:443" }, 1)).toEqual(WRONG);
  });

  test("takes the absolute-form, and the path alone as curl sends it", () => {
    const cases: [string, string, boolean][] = [
      ["http://h/p?q", "http://h/p?q", true],
      ["http://h/p?q", "/p?q", true],
      ["http://h", "/", true],
      ["http://h?q", "/?q", true],
      ["http://h/p?q", "/p", false],
      ["http://h/p", "http://other/p", false],
      ["h:443", "/", false],
    ];
    for (const [target, uri, right] of cases) {
      const verifier = createVerifier();
      const value = answer(verifier.challenges(false, 0), { method: "GET", uri });
      expect(verifier.verify(value, { method: "GET", target }, 1)).toEqual(right ? { ok: true, user: "alice" } : WRONG);
    }
  });

  test("takes no answer twice, and says that the nonce is stale", () => {
    const verifier = createVerifier();
    const challenges = verifier.challenges(false, 0);
    const first = answer(challenges, { count: 1 });
    expect(verifier.verify(first, request, 1)).toEqual({ ok: true, user: "alice" });
    expect(verifier.verify(first, request, 1)).toEqual(STALE);
    expect(verifier.verify(answer(challenges, { count: 2 }), request, 1)).toEqual({ ok: true, user: "alice" });
  });

  test("an answer with an old nonce is stale when the password is right and wrong when not", () => {
    const verifier = createVerifier();
    const challenges = verifier.challenges(false, 0);
    expect(verifier.verify(answer(challenges), request, 300_000)).toEqual(STALE);
    expect(verifier.verify(answer(challenges, { password: "no" }), request, 300_000)).toEqual(WRONG);
    expect(verifier.challenges(true, 300_000)[0]).toEndWith("stale=true");
  });

  test("a nonce from before a reload is stale", () => {
    const value = answer(createVerifier().challenges(false, 0));
    expect(createVerifier().verify(value, request, 1)).toEqual(STALE);
  });

  test("a wrong answer uses up no count", () => {
    const verifier = createVerifier();
    const challenges = verifier.challenges(false, 0);
    expect(verifier.verify(answer(challenges, { password: "no" }), request, 1)).toEqual(WRONG);
    expect(verifier.verify(answer(challenges), request, 1)).toEqual({ ok: true, user: "alice" });
  });

  test("refuses another realm, and what is malformed", () => {
    const verifier = createVerifier();
    const [challenge = ""] = verifier.challenges(false, 0);
    const elsewhere = answer([challenge.replace('realm="realm"', 'realm="other"')]);
    expect(verifier.verify(elsewhere, request, 1)).toEqual(WRONG);
    const malformed = { ok: false, detail: "credentials_malformed" } as const;
    expect(verifier.verify("Digest x", request, 1)).toEqual(malformed);
    expect(verifier.verify(answer([challenge]).replace("alice", "a:b"), request, 1)).toEqual(malformed);
  });

  test("leaves other schemes to others", () => {
    expect(createVerifier().verify("Basic YTpi", request, 0)).toBeUndefined();
  });
});

test("supportsDigest() wants at least one password in plain text", () => {
  expect(supportsDigest(createStore({ a: "pw", b: BCRYPT }))).toBe(true);
  expect(supportsDigest(createStore({ b: BCRYPT }))).toBe(false);
  expect(supportsDigest(createStore({}))).toBe(false);
  expect(supportsDigest(createFunctionStore(() => true))).toBe(false);
});
