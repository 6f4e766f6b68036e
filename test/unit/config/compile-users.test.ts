import { describe, expect, test } from "bun:test";

import { CredentialChecks } from "../../../src/proxy/auth/credential-checks.ts";
import { Secret } from "../../../src/secret.ts";
import { compileForTest, listCompileProblems } from "../../support/compile-for-test.ts";

const HASH = await Bun.password.hash("correct horse", { algorithm: "argon2id", memoryCost: 8, timeCost: 1 });

describe("compileConfig() on users", () => {
  test("knows the users of a list, by hash and in plain", async () => {
    const { authenticator } = compileForTest({
      users: [
        { name: "ci", password: HASH },
        { name: "dev", password: "plain" },
      ],
    }).runtime;
    expect(authenticator.required).toBe(true);
    expect(await authenticator.verifyPassword("ci", new Secret("correct horse"), new CredentialChecks())).toEqual({
      ok: true,
      user: "ci",
    });
    expect(await authenticator.verifyPassword("ci", new Secret("wrong"), new CredentialChecks())).toMatchObject({
      ok: false,
    });
    expect(await authenticator.verifyPassword("dev", new Secret("plain"), new CredentialChecks())).toEqual({
      ok: true,
      user: "dev",
    });
  });

  test("takes passwords from the environment and from files, less the line break at their end", async () => {
    const { authenticator } = compileForTest(
      {
        users: [
          { name: "a", password: { env: "A" } },
          { name: "b", password: { file: "b.txt" } },
        ],
      },
      { variables: { A: "one" }, files: new Map([["b.txt", "two\r\n"]]) },
    ).runtime;
    expect(await authenticator.verifyPassword("a", new Secret("one"), new CredentialChecks())).toMatchObject({
      ok: true,
    });
    expect(await authenticator.verifyPassword("b", new Secret("two"), new CredentialChecks())).toMatchObject({
      ok: true,
    });
  });

  test("asks a function", async () => {
    const { authenticator } = compileForTest({ users: (name: string, password: string) => name === password }).runtime;
    expect(await authenticator.verifyPassword("x", new Secret("x"), new CredentialChecks())).toEqual({
      ok: true,
      user: "x",
    });
    expect(await authenticator.verifyPassword("x", new Secret("y"), new CredentialChecks())).toMatchObject({
      ok: false,
    });
  });

  test("shows the realm in the challenge", () => {
    const { authenticator } = compileForTest({ users: [{ name: "a", password: "b" }], auth: { realm: "lab" } }).runtime;
    expect(authenticator.challenge(new CredentialChecks())[0]).toContain('realm="lab"');
  });

  test("names the user whose hash cannot be used, and the line of a file", () => {
    const users = [
      { name: "a", password: "fine" },
      { name: "b", password: "$apr1$x$y" },
    ];
    expect(listCompileProblems({ users })[0]).toStartWith('users[1].password: "b" has a hash of the kind "$apr1$".');
    const files = new Map([["u", "a:plain\n"]]);
    expect(listCompileProblems({ users: { file: "u" } }, { files })[0]).toStartWith(
      'users.file: "u", line 1: "a" has no hash',
    );
  });

  test("lets nobody in, rather than everybody, when a users file was not read", () => {
    expect(() => compileForTest({ users: { file: "u" } })).toThrow();
  });

  test("gives a new runtime for a changed users file, with everything else as it was", async () => {
    const files = new Map([["u", `a:${HASH}\n`]]);
    const { usersFile, runtime } = compileForTest({ users: { file: "u" } }, { files });
    expect(usersFile?.path).toBe("/etc/penstock/u");
    expect(usersFile?.text).toBe(`a:${HASH}\n`);
    const next = usersFile?.recompile(`b:${HASH}\n`);
    if (!next?.ok) throw new Error("The new text is fine");
    expect(
      await next.value.authenticator.verifyPassword("b", new Secret("correct horse"), new CredentialChecks()),
    ).toEqual({
      ok: true,
      user: "b",
    });
    expect(
      await next.value.authenticator.verifyPassword("a", new Secret("correct horse"), new CredentialChecks()),
    ).toMatchObject({
      ok: false,
    });
    expect({ ...next.value, authenticator: runtime.authenticator }).toEqual(runtime);
  });

  test("refuses a bad new users file", () => {
    const { usersFile } = compileForTest({ users: { file: "u" } }, { files: new Map([["u", `a:${HASH}\n`]]) });
    expect(usersFile?.recompile("nonsense\n")).toMatchObject({ ok: false, problems: [{ path: ["users", "file"] }] });
  });
});
