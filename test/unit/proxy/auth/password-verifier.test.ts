import { describe, expect, test } from "bun:test";
import { CredentialChecks } from "../../../../src/proxy/auth/credential-checks.ts";
import { PasswordVerifier, type VerifierOptions } from "../../../../src/proxy/auth/password-verifier.ts";
import { Secret } from "../../../../src/secret.ts";
import { createFunctionStore, createUserStore, type UserCheck } from "../../../../src/proxy/auth/user-store.ts";

// Made by Apache's `htpasswd -nbBC 5 alice secret`, and by Bun for "pw".
const BCRYPT = "$2y$05$fIV1YdoAGCwtA7wE1IAwhOqjQGo5hmII2eFNYGoj92H9VCE/uy/aa";
const ARGON2ID =
  "$argon2id$v=19$m=64,t=1,p=1$AgVe9MEuGQ4+SKBCt86suBR9JGvNYuiwJ3zyFLM07SQ$ddth3E0bweLFYTXtjxrBr5tQjoAEyIR1k0Mys7RQer4";

const GONE = { ok: false, detail: "client_gone" } as const;
const WRONG = { ok: false, detail: "credentials_wrong" } as const;

interface Options extends VerifierOptions {
  readonly checks?: CredentialChecks;
}

function withUsers(users: Record<string, string>, options: Options = {}) {
  const result = createUserStore(
    Object.entries(users).map(([name, password]) => ({
      name,
      password: new Secret(password),
    })),
  );
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return bind(new PasswordVerifier(result.store, options), options.checks);
}

function withFunction(check: UserCheck, options: Options = {}) {
  return bind(new PasswordVerifier(createFunctionStore(check), options), options.checks);
}

function bind(verifier: PasswordVerifier, checks = new CredentialChecks()) {
  return (user: string, password: string) => verifier.verify({ user, password: new Secret(password) }, checks);
}

describe("PasswordVerifier with a list", () => {
  test("verifies plain passwords at once", () => {
    const verify = withUsers({ alice: "pw" });
    expect(verify("alice", "pw")).toEqual({ ok: true, user: "alice" });
    expect(verify("alice", "pW")).toEqual(WRONG);
    expect(verify("alice", "")).toEqual(WRONG);
    expect(verify("bob", "pw")).toEqual(WRONG);
  });

  test("verifies bcrypt and argon2id", async () => {
    const verify = withUsers({ alice: BCRYPT, bob: ARGON2ID });
    expect(await verify("alice", "secret")).toEqual({ ok: true, user: "alice" });
    expect(await verify("bob", "pw")).toEqual({ ok: true, user: "bob" });
    expect(await verify("alice", "pw")).toEqual(WRONG);
    expect(await verify("bob", "secret")).toEqual(WRONG);
    expect(await verify("alice", BCRYPT)).toEqual(WRONG);
    expect(await verify("alice", "")).toEqual(WRONG);
  });

  test("an unknown user is refused, and its password is hashed as for a known one", async () => {
    const verify = withUsers({ alice: BCRYPT });
    const outcome = verify("nobody", "secret");
    expect(outcome).toBeInstanceOf(Promise);
    expect(await outcome).toEqual(WRONG);
  });

  test("what a decoy found out never speaks for the user it belongs to", async () => {
    const checks = new CredentialChecks();
    const before = withUsers({ alice: BCRYPT }, { checks });
    expect(await before("bob", "secret")).toEqual(WRONG);
    const after = withUsers({ alice: BCRYPT, bob: BCRYPT }, { checks });
    expect(await after("bob", "secret")).toEqual({ ok: true, user: "bob" });
  });

  test("answers without a promise once it knows", async () => {
    const verify = withUsers({ alice: BCRYPT });
    expect(verify("alice", "secret")).toBeInstanceOf(Promise);
    await verify("alice", "secret");
    expect(verify("alice", "secret")).toEqual({ ok: true, user: "alice" });
    await verify("alice", "wrong");
    expect(verify("alice", "wrong")).toEqual(WRONG);
  });

  test("verifies anew when the time is over", async () => {
    let now = 0;
    const verify = withUsers({ alice: BCRYPT }, { cacheTtlMs: 1000, checks: new CredentialChecks({ now: () => now }) });
    await verify("alice", "secret");
    now = 999;
    expect(verify("alice", "secret")).toEqual({ ok: true, user: "alice" });
    now = 1000;
    const outcome = verify("alice", "secret");
    expect(outcome).toBeInstanceOf(Promise);
    expect(await outcome).toEqual({ ok: true, user: "alice" });
  });

  test("remembers nothing verified with a time of 0", async () => {
    const verify = withUsers({ alice: BCRYPT }, { cacheTtlMs: 0 });
    await verify("alice", "secret");
    expect(verify("alice", "secret")).toBeInstanceOf(Promise);
  });

  test("a cache that outlives a reload knows unchanged users and no others", async () => {
    const checks = new CredentialChecks();
    await withUsers({ alice: BCRYPT }, { checks })("alice", "secret");
    const same = withUsers({ alice: BCRYPT, bob: "pw" }, { checks });
    expect(same("alice", "secret")).toEqual({ ok: true, user: "alice" });
    const changed = withUsers({ alice: ARGON2ID }, { checks });
    expect(await changed("alice", "secret")).toEqual(WRONG);
    const gone = withUsers({ bob: BCRYPT }, { checks });
    expect(await gone("alice", "secret")).toEqual(WRONG);
  });

  test("a right password is right after any number of wrong ones", async () => {
    const verify = withUsers({ alice: BCRYPT });
    await Promise.all(Array.from({ length: 50 }, (_, index) => verify("alice", `wrong${index}`)));
    expect(await verify("alice", "secret")).toEqual({ ok: true, user: "alice" });
  });

  test("turns away what neither runs nor may wait", async () => {
    const verify = withUsers(
      { alice: BCRYPT },
      { checks: new CredentialChecks({ limits: { running: 1, waiting: 1 } }) },
    );
    const first = verify("alice", "one");
    const second = verify("alice", "two");
    expect(await verify("alice", "three")).toEqual({ ok: false, detail: "auth_busy" });
    expect(await Promise.all([first, second])).toEqual([WRONG, WRONG]);
    expect(await verify("alice", "secret")).toEqual({ ok: true, user: "alice" });
  });

  test("identical verifications under way share one hash and one place", async () => {
    const verify = withUsers(
      { alice: BCRYPT },
      { checks: new CredentialChecks({ limits: { running: 1, waiting: 0 } }) },
    );
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => verify("alice", "secret")));
    expect(outcomes).toEqual(outcomes.map(() => ({ ok: true, user: "alice" })));
  });

  test("answers other clients while one floods, and tells the flood alone that it is too much", async () => {
    const users = createUserStore([{ name: "alice", password: new Secret(BCRYPT) }]);
    if (!users.ok) throw new Error("alice is no user");
    const checks = new CredentialChecks({ limits: { running: 2, waiting: 20, waitingPerClient: 10 } });
    const verifier = new PasswordVerifier(users.store);
    const ask = (client: string, password: string, isGone = () => false) =>
      verifier.verify({ user: "alice", password: new Secret(password) }, checks, {
        client,
        network: client,
        isGone,
        whenGone: () => {},
      });
    const flood = Array.from({ length: 30 }, (_, at) => ask("flood", `wrong ${at}`));
    const answers: string[] = [];
    const others = Array.from({ length: 8 }, async (_, at) => {
      expect(await ask(`client ${at}`, "secret")).toEqual({ ok: true, user: "alice" });
      answers.push("client");
    });
    const flooded = flood.map(async (outcome) => {
      const { ok, detail } = { detail: undefined, ...(await outcome) };
      expect(ok).toBeFalse();
      answers.push(detail ?? "");
    });
    await Promise.all([...others, ...flooded]);
    expect(answers.filter((answer) => answer === "auth_busy")).toHaveLength(18);
    expect(answers.filter((answer) => answer === "credentials_wrong")).toHaveLength(12);
    // The first one was found out for all.
    expect(answers.indexOf("client")).toBeLessThan(answers.lastIndexOf("credentials_wrong"));
  });

  test("spends no hash on clients that went away while they waited, and one as long as somebody of them waits", async () => {
    const users = createUserStore([{ name: "alice", password: new Secret(BCRYPT) }]);
    if (!users.ok) throw new Error("alice is no user");
    const checks = new CredentialChecks({ limits: { running: 1 } });
    const verifier = new PasswordVerifier(users.store);
    const gone = new Set<string>();
    const tells: (() => void)[] = [];
    const ask = (password: string, name: string) =>
      verifier.verify({ user: "alice", password: new Secret(password) }, checks, {
        client: "a",
        network: "a",
        isGone: () => gone.has(name),
        whenGone: (tell) => tells.push(tell),
      });
    const running = ask("one", "runs");
    const both = [ask("two", "first"), ask("two", "second")];
    const kept = [ask("three", "third"), ask("three", "fourth")];
    expect(checks.queues.list.waiting).toBe(2);
    gone.add("first").add("third");
    for (const tell of tells) tell();
    expect(checks.queues.list.waiting).toBe(2);
    gone.add("second");
    for (const tell of tells) tell();
    expect(checks.queues.list.waiting).toBe(1);
    expect(await Promise.all(both)).toEqual([GONE, GONE]);
    expect(await Promise.all([running, ...kept])).toEqual([WRONG, WRONG, WRONG]);
  });

  test("refuses what can be no user or no password without a hash", () => {
    const verify = withUsers({ alice: BCRYPT });
    for (const user of ["", "a:b", "alice\0", "a".repeat(256)]) expect(verify(user, "secret")).toEqual(WRONG);
    expect(verify("alice", "secret\0more")).toEqual(WRONG);
  });

  test("with no users at all everybody is refused", () => {
    expect(withUsers({})("alice", "pw")).toEqual(WRONG);
  });
});

describe("PasswordVerifier with a function", () => {
  test("takes true for yes and false for no, now or later", async () => {
    const sync = withFunction((user, password) => user === "a" && password === "b");
    expect(await sync("a", "b")).toEqual({ ok: true, user: "a" });
    expect(await sync("a", "c")).toEqual(WRONG);
    const later = withFunction(async (user) => user === "a");
    expect(await later("a", "b")).toEqual({ ok: true, user: "a" });
    expect(await later("b", "b")).toEqual(WRONG);
  });

  test("denies when it throws, rejects, or gives something else", async () => {
    const checks: unknown[] = [
      () => {
        throw new Error("broken with pa55");
      },
      () => Promise.reject(new Error("broken with pa55")),
      () => undefined,
      () => 1,
      () => "true",
      () => ({ ok: true }),
    ];
    const whys: unknown[] = [];
    const thrown: (string | undefined)[] = [];
    for (const check of checks) {
      const outcome = await withFunction(check as UserCheck)("a", "pa55");
      expect(outcome).toMatchObject({ ok: false, detail: "hook_failed" });
      whys.push(outcome.ok ? undefined : outcome.fault);
      thrown.push(outcome.ok ? undefined : outcome.fault?.thrown?.([]));
    }
    expect(whys.slice(2)).toEqual(Array(4).fill({ why: "answered with no boolean" }));
    expect(JSON.stringify(whys.slice(0, 2)).split("threw")).toHaveLength(3);
    expect(thrown.slice(0, 2)).toEqual(Array(2).fill(expect.stringContaining("broken with [redacted]")));
    expect(thrown.slice(2)).toEqual(Array(4).fill(undefined));
    expect(JSON.stringify([whys, thrown])).not.toContain("pa55");
  });

  test("denies when it takes too long, and gives its place away", async () => {
    let calls = 0;
    const verify = withFunction(
      () => {
        calls += 1;
        return calls === 1 ? new Promise<boolean>(() => {}) : true;
      },
      { hookDeadlineMs: 5, checks: new CredentialChecks({ limits: { running: 1 } }) },
    );
    expect(await verify("a", "b")).toMatchObject({
      detail: "hook_failed",
      fault: { why: "did not answer in 5 ms" },
    });
    expect(await verify("a", "b")).toEqual({ ok: true, user: "a" });
  });

  test("is asked once while its yes is remembered, and every time after a no", async () => {
    let calls = 0;
    let answer = false;
    let now = 0;
    const verify = withFunction(
      () => {
        calls += 1;
        return answer;
      },
      { cacheTtlMs: 100, checks: new CredentialChecks({ now: () => now }) },
    );
    expect(await verify("a", "b")).toEqual(WRONG);
    answer = true;
    expect(await verify("a", "b")).toEqual({ ok: true, user: "a" });
    expect(verify("a", "b")).toEqual({ ok: true, user: "a" });
    expect(calls).toBe(2);
    now = 100;
    answer = false;
    expect(await verify("a", "b")).toEqual(WRONG);
    expect(calls).toBe(3);
  });

  test("what one function said does not count for another", async () => {
    const checks = new CredentialChecks();
    await withFunction(() => true, { checks })("a", "b");
    expect(await withFunction(() => false, { checks })("a", "b")).toEqual(WRONG);
  });
});
