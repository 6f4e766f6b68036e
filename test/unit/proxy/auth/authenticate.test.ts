import { describe, expect, test } from "bun:test";
import { type AuthenticatorOptions, createAuthenticator } from "../../../../src/proxy/auth/authenticate.ts";
import { DigestClient } from "../../../../src/proxy/upstream/digest-client.ts";
import { CredentialChecks } from "../../../../src/proxy/auth/credential-checks.ts";
import { Secret } from "../../../../src/secret.ts";
import { createFunctionStore, createUserStore } from "../../../../src/proxy/auth/user-store.ts";

function createWithAlice(options: AuthenticatorOptions = {}) {
  const result = createUserStore([{ name: "alice", password: new Secret("pw") }]);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return createAuthenticator({ users: result.store, ...options });
}

const checks = new CredentialChecks();

function basic(text: string): string {
  return `Basic ${btoa(text)}`;
}

describe("createAuthenticator()", () => {
  test("without users asks nobody and looks at no credentials", () => {
    const authenticator = createAuthenticator();
    expect(authenticator.required).toBe(false);
    expect(authenticator.authenticate([], checks)).toEqual({ ok: true, user: undefined });
    expect(authenticator.authenticate(["nonsense", "twice"], checks)).toEqual({ ok: true, user: undefined });
    expect(authenticator.verifyPassword("a", new Secret("b"), checks)).toEqual({ ok: true, user: undefined });
    expect(authenticator.challenge(checks)).toEqual([]);
  });

  test("knows a user by Basic, at once", () => {
    const authenticator = createWithAlice();
    expect(authenticator.required).toBe(true);
    for (const value of [
      basic("alice:pw"),
      basic("alice:pw").replace("Basic", "bASIC"),
      basic("alice:pw").replace(" ", "   "),
    ])
      expect(authenticator.authenticate([value], checks)).toEqual({ ok: true, user: "alice" });
  });

  test("knows a user by name and password", () => {
    const authenticator = createWithAlice();
    expect(authenticator.verifyPassword("alice", new Secret("pw"), checks)).toEqual({ ok: true, user: "alice" });
    expect(authenticator.verifyPassword("alice", new Secret("no"), checks)).toEqual({
      ok: false,
      detail: "credentials_wrong",
    });
  });

  test("says why it does not know somebody", () => {
    const authenticator = createWithAlice();
    const detail = (...values: string[]) => authenticator.authenticate(values, checks);
    expect(detail()).toEqual({ ok: false, detail: "credentials_required" });
    expect(detail("Bearer abc")).toEqual({ ok: false, detail: "credentials_required" });
    expect(detail("Digest username=alice")).toEqual({ ok: false, detail: "credentials_required" });
    expect(detail("")).toEqual({ ok: false, detail: "credentials_required" });
    expect(detail("Basic")).toEqual({ ok: false, detail: "credentials_malformed" });
    expect(detail("Basic !!!")).toEqual({ ok: false, detail: "credentials_malformed" });
    expect(detail(basic("alice"))).toEqual({ ok: false, detail: "credentials_malformed" });
    expect(detail(basic("alice:no"))).toEqual({ ok: false, detail: "credentials_wrong" });
    expect(detail(basic("bob:pw"))).toEqual({ ok: false, detail: "credentials_wrong" });
  });

  test("more than one field is malformed, even when all are right", () => {
    const value = basic("alice:pw");
    expect(createWithAlice().authenticate([value, value], checks)).toEqual({
      ok: false,
      detail: "credentials_malformed",
    });
  });

  test("challenges with the realm, quoted", () => {
    expect(createWithAlice().challenge(checks)).toEqual(['Basic realm="penstock", charset="UTF-8"']);
    expect(createWithAlice({ realm: 'a "b" \\' }).challenge(checks)).toEqual([
      'Basic realm="a \\"b\\" \\\\", charset="UTF-8"',
    ]);
  });

  test("throws for a realm that has no place in a field", () => {
    for (const realm of ["", "a\r\nb", "ü", "x".repeat(201)]) expect(() => createWithAlice({ realm })).toThrow("realm");
  });
});

describe("createAuthenticator() with Digest", () => {
  const request = { method: "CONNECT", target: "example.org:443" };
  const curl = (challenges: string[]) => {
    const exchange = new DigestClient("alice", new Secret("pw")).begin();
    expect(exchange.refuse(challenges)).toBe("retry");
    return exchange.authorize(request.method, request.target) ?? "";
  };

  test("offers the schemes in their order and takes each", () => {
    const authenticator = createWithAlice({ schemes: ["digest", "basic"] });
    const challenges = authenticator.challenge(checks);
    expect(challenges.map((value) => value.split(" ")[0])).toEqual(["Digest", "Digest", "Basic"]);
    expect(authenticator.authenticate([curl(challenges)], checks, request)).toEqual({ ok: true, user: "alice" });
    expect(authenticator.authenticate([basic("alice:pw")], checks, request)).toEqual({ ok: true, user: "alice" });
  });

  test("takes no Basic when it is not among the schemes", () => {
    const authenticator = createWithAlice({ schemes: ["digest"] });
    const required = { ok: false, detail: "credentials_required" } as const;
    expect(authenticator.authenticate([basic("alice:pw")], checks, request)).toEqual(required);
    expect(authenticator.verifyPassword("alice", new Secret("pw"), checks)).toEqual({ ok: true, user: "alice" });
  });

  test("counts Digest as nothing without a request, and without the scheme", () => {
    const authenticator = createWithAlice({ schemes: ["digest"] });
    const value = curl(authenticator.challenge(checks));
    const required = { ok: false, detail: "credentials_required" } as const;
    expect(authenticator.authenticate([value], checks)).toEqual(required);
    expect(createWithAlice().authenticate([value], checks, request)).toEqual(required);
  });

  test("tells of a stale nonce in the outcome and in the challenge", () => {
    let now = 0;
    const aging = new CredentialChecks({ now: () => now });
    const authenticator = createWithAlice({ schemes: ["digest"] });
    const value = curl(authenticator.challenge(aging));
    now = 300_000;
    const outcome = authenticator.authenticate([value], aging, request);
    expect(outcome).toEqual({ ok: false, detail: "credentials_required", stale: true });
    expect(authenticator.challenge(aging, { stale: true })[0]).toEndWith("stale=true");
    expect(authenticator.challenge(aging)[0]).not.toContain("stale");
  });

  test("throws when there is no scheme, nobody to verify, or a realm that clients hash differently", () => {
    expect(() => createWithAlice({ schemes: [] })).toThrow("no authentication scheme");
    expect(() => createWithAlice({ schemes: ["digest"], realm: 'a"b' })).toThrow("quotes");
    const users = createFunctionStore(() => true);
    expect(() => createAuthenticator({ users, schemes: ["basic", "digest"] })).toThrow("plain text");
  });
});

describe("an authenticator with parameters", () => {
  const parameters = ["session", "country"];
  // Made by Apache's `htpasswd -nbBC 5 alice secret`.
  const BCRYPT = "$2y$05$fIV1YdoAGCwtA7wE1IAwhOqjQGo5hmII2eFNYGoj92H9VCE/uy/aa";

  test("finds them in the user name, by Basic and by SOCKS", () => {
    const authenticator = createWithAlice({ parameters });
    const found = { ok: true, user: "alice", parameters: { session: "a1", country: "de" } };
    const name = "alice-country-de-session-a1";
    const known: unknown = authenticator.authenticate([basic(`${name}:pw`)], checks);
    expect({ ...(known as object), parameters: { ...(known as typeof found).parameters } }).toEqual(found);
    expect(authenticator.verifyPassword(name, new Secret("pw"), checks)).toEqual(known as never);
    expect(authenticator.authenticate([basic("alice:pw")], checks)).toEqual({ ok: true, user: "alice" });
  });

  test("does not look for them where there are none", () => {
    expect(createWithAlice().authenticate([basic("alice-session-a1:pw")], checks)).toEqual({
      ok: false,
      detail: "credentials_wrong",
    });
  });

  test("refuses malformed ones alike for known and unknown users, right and wrong passwords", () => {
    const authenticator = createWithAlice({ parameters });
    const malformed = { ok: false, detail: "parameters_malformed", note: "the parameter session is empty" } as const;
    for (const text of ["alice-session-:pw", "alice-session-:no", "nobody-session-:pw"])
      expect(authenticator.authenticate([basic(text)], checks)).toEqual(malformed);
  });

  test("hashes a password once for all sessions of a user, and each wrong one", async () => {
    const result = createUserStore([{ name: "alice", password: new Secret(BCRYPT) }]);
    if (!result.ok) throw new Error("The user is fine");
    const own = new CredentialChecks();
    const authenticator = createAuthenticator({ users: result.store, parameters });
    const show = (text: string) => authenticator.authenticate([basic(text)], own);
    const first = show("alice-session-0:secret");
    expect(first).toBeInstanceOf(Promise);
    expect(await first).toMatchObject({ ok: true, user: "alice" });
    for (let session = 1; session < 100; session++)
      expect(show(`alice-session-${session}:secret`)).toMatchObject({
        ok: true,
        parameters: { session: `${session}` },
      });
    expect(show("alice:secret")).toEqual({ ok: true, user: "alice" });
    expect(own.cache.misses).toBe(1);
    const wrong = { ok: false, detail: "credentials_wrong" } as const;
    expect(await show("alice-session-1:no")).toEqual(wrong);
    // Neither does a rotating session force a hash for the same wrong password.
    expect(show("alice-session-2:no")).toEqual(wrong);
    expect(await show("bob-session-1:secret")).toEqual(wrong);
  });

  test("finds them by Digest, whose response is made with the whole name", () => {
    const authenticator = createWithAlice({ schemes: ["digest"], parameters });
    const request = { method: "CONNECT", target: "example.org:443" };
    const answer = (name: string, password = "pw") => {
      const exchange = new DigestClient(name, new Secret(password)).begin();
      exchange.refuse(authenticator.challenge(checks));
      const value = exchange.authorize(request.method, request.target) ?? "";
      return { value, outcome: authenticator.authenticate([value], checks, request) };
    };
    const { value, outcome } = answer("alice-session-a1");
    expect(outcome).toMatchObject({ ok: true, user: "alice", parameters: { session: "a1" } });
    expect(answer("alice").outcome).toEqual({ ok: true, user: "alice" });
    expect(answer("alice-session-a1", "no").outcome).toEqual({ ok: false, detail: "credentials_wrong" });
    expect(answer("alice-session-").outcome).toMatchObject({ ok: false, detail: "parameters_malformed" });
    // The response of one session is none for another.
    const moved = value.replace("alice-session-a1", "alice-session-b2");
    expect(authenticator.authenticate([moved], checks, request)).toEqual({ ok: false, detail: "credentials_wrong" });
  });
});
