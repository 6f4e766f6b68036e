import { describe, expect, test } from "bun:test";
import { NO_PARAMETERS, type UserParameters } from "../../../../src/protocol/user-parameters.ts";
import { CredentialChecks } from "../../../../src/proxy/auth/credential-checks.ts";
import { PasswordVerifier } from "../../../../src/proxy/auth/password-verifier.ts";
import { createFunctionStore, type UserCheck } from "../../../../src/proxy/auth/user-store.ts";
import { Secret } from "../../../../src/secret.ts";

const WRONG = { ok: false, detail: "credentials_wrong" } as const;

describe("PasswordVerifier with parameters in user names", () => {
  function makeVerifier(check: UserCheck) {
    const checks = new CredentialChecks();
    const verifier = new PasswordVerifier(createFunctionStore(check));
    const verify = (parameters: UserParameters, password = "pw") =>
      verifier.verify({ user: "alice", password: new Secret(password), parameters }, checks);
    return { verify, checks };
  }

  test("asks a function once when it does not look at them, whatever they are", async () => {
    let calls = 0;
    const { verify, checks } = makeVerifier((user, password) => {
      calls += 1;
      return user === "alice" && password === "pw";
    });
    expect(await verify({ session: "1" })).toEqual({ ok: true, user: "alice" });
    for (let session = 2; session < 50; session++)
      expect(verify({ session: String(session) })).toEqual({ ok: true, user: "alice" });
    expect(verify(NO_PARAMETERS)).toEqual({ ok: true, user: "alice" });
    expect(calls).toBe(1);
    expect([checks.cache.hits, checks.cache.misses]).toEqual([49, 1]);
    expect(await verify({ session: "1" }, "wrong")).toEqual(WRONG);
    expect(await verify({ session: "99" }, "wrong")).toEqual(WRONG);
    expect(calls).toBe(3);
  });

  test.each<[string, UserCheck]>([
    ["reads one", (_, __, { country }) => country === "de"],
    ["asks whether there is one", (_, __, parameters) => "country" in parameters],
    ["lists them", (_, __, parameters) => Object.keys(parameters).includes("country")],
    ["writes them", (_, __, parameters) => JSON.stringify(parameters).includes("country")],
    ["copies them", (_, __, parameters) => ({ ...parameters })["country"] !== undefined],
    ["reads them late", async (_, __, parameters) => (await Bun.sleep(0), parameters["country"] === "de")],
  ])("asks a function that %s for each of them", async (_, check) => {
    let calls = 0;
    const { verify } = makeVerifier((...asked) => {
      calls += 1;
      return check(...asked);
    });
    const german = { country: "de" };
    expect(await verify(german)).toEqual({ ok: true, user: "alice" });
    expect(verify(german)).toEqual({ ok: true, user: "alice" });
    expect(await verify(NO_PARAMETERS)).toEqual(WRONG);
    expect(await verify({ session: "1" })).toEqual(WRONG);
    expect(calls).toBe(3);
    expect(verify(german)).toEqual({ ok: true, user: "alice" });
  });

  test("lets no accepted parameter speak for another one, when a function looks only sometimes", async () => {
    const { verify } = makeVerifier((_, __, parameters) => parameters["country"] === undefined);
    expect(await verify(NO_PARAMETERS)).toEqual({ ok: true, user: "alice" });
    expect(await verify({ country: "de" })).toEqual(WRONG);
  });

  test("gives a function nothing that it could change", async () => {
    let thrown = "";
    const { verify } = makeVerifier((_, __, parameters) => {
      try {
        (parameters as Record<string, string>)["country"] = "xx";
      } catch (error) {
        thrown = String(error);
      }
      return parameters["country"] === "de";
    });
    expect(await verify(Object.freeze({ country: "de" }))).toEqual({ ok: true, user: "alice" });
    expect(thrown).toContain("TypeError");
  });
});
