import { describe, expect, test } from "bun:test";
import { classifyPassword } from "../../../../src/proxy/auth/password-hash.ts";

const BCRYPT = "$2y$05$fIV1YdoAGCwtA7wE1IAwhOqjQGo5hmII2eFNYGoj92H9VCE/uy/aa";
const ARGON2ID =
  "$argon2id$v=19$m=64,t=1,p=1$AgVe9MEuGQ4+SKBCt86suBR9JGvNYuiwJ3zyFLM07SQ$ddth3E0bweLFYTXtjxrBr5tQjoAEyIR1k0Mys7RQer4";

/** The kind, or the problem. */
function classify(stored: string): string {
  const form = classifyPassword(stored);
  return form.kind === "refused" ? form.problem : form.kind;
}

describe("classifyPassword()", () => {
  test("knows bcrypt, argon2id and plain text", () => {
    expect(classify(BCRYPT)).toBe("bcrypt");
    expect(classify(ARGON2ID)).toBe("argon2id");
    expect(classify("correct horse")).toBe("plain");
    expect(classify("$ecret")).toBe("plain");
    expect(classify("{curly")).toBe("plain");
    for (const secret of ["5$".padEnd(30, "x"), "m=1,t=2", "argon2", "a".repeat(100), "costs 5$ a month"])
      expect(classify(secret)).toBe("plain");
  });

  test("takes bcrypt up to cost 14", () => {
    expect(classify(BCRYPT.replace("$05$", "$14$"))).toBe("bcrypt");
    expect(classify(BCRYPT.replace("$05$", "$15$"))).toBe("has a bcrypt hash of cost 15. Wanted is at most 14");
  });

  test("takes argon2id up to 256 MiB, ten passes and sixteen lanes", () => {
    const largest = ARGON2ID.replace("m=64,t=1,p=1", "m=262144,t=10,p=16");
    expect(classify(largest)).toBe("argon2id");
    for (const cost of ["m=262145,t=1,p=1", "m=64,t=11,p=1", "m=999,t=1,p=17"])
      expect(classify(ARGON2ID.replace("m=64,t=1,p=1", cost))).toContain(
        "Wanted is at most m=262144 (256 MiB), t=10 and p=16",
      );
  });

  test("refuses argon2id with less than 8 KiB for each lane", () => {
    expect(classify(ARGON2ID.replace("p=1", "p=9"))).toContain("8 times p");
  });

  test("refuses hashes that are cut short or damaged", () => {
    for (const stored of [
      BCRYPT.slice(0, -1),
      `${BCRYPT}a`,
      BCRYPT.replace("$05$", "$5$"),
      BCRYPT.replace("$05$", "$03$"),
      BCRYPT.replace("/", "!"),
      ARGON2ID.slice(0, -1),
      ARGON2ID.slice(0, -43),
      ARGON2ID.replace("v=19", "v=16"),
      ARGON2ID.replace("m=64", "m=064"),
      ARGON2ID.replace("m=64,t=1", "t=1,m=64"),
      `${ARGON2ID}=`,
    ])
      expect(classify(stored)).toContain("cut short");
  });

  test("refuses what is left of a hash that lost its beginning, and takes it for no password", () => {
    for (const hash of [BCRYPT, ARGON2ID])
      for (let start = 1; start < 6; start++)
        for (const stored of [hash.slice(start), ` ${hash}`, `$${hash}`, `x${hash}`])
          expect(classifyPassword(stored).kind).toBe("refused");
  });

  test("accepts no hash that Bun cannot verify, whichever character is another one", async () => {
    const cheap = await Promise.all([
      Bun.password.hash("pw", { algorithm: "bcrypt", cost: 4 }),
      Bun.password.hash("pw", { algorithm: "argon2id", memoryCost: 8, timeCost: 1 }),
    ]);
    let verified = 0;
    for (const hash of cheap)
      for (let at = 0; at < hash.length; at++)
        for (const letter of "./Aeuz0$,=") {
          const changed = `${hash.slice(0, at)}${letter}${hash.slice(at + 1)}`;
          const { kind } = classifyPassword(changed);
          if (kind !== "bcrypt" && kind !== "argon2id") continue;
          // A higher cost takes its time; that it is one is all that is asked.
          if (at < 7 && changed.startsWith("$2")) continue;
          expect(await Bun.password.verify("pw", changed)).toBe(changed === hash);
          verified += 1;
        }
    expect(verified).toBeGreaterThan(500);
  });

  test("refuses hashes of other kinds by name", () => {
    for (const kind of ["$apr1$", "$1$", "$6$", "$2x$", "$argon2i$", "{SHA}"])
      expect(classify(`${kind}x$y`)).toStartWith(`has a hash of the kind "${kind}".`);
  });

  test("every accepted hash is one that Bun can verify", async () => {
    for (const hash of [BCRYPT, ARGON2ID, BCRYPT.replace("$2y$", "$2a$")])
      expect(await Bun.password.verify("wrong", hash)).toBe(false);
    expect(await Bun.password.verify("secret", BCRYPT)).toBe(true);
    expect(await Bun.password.verify("pw", ARGON2ID)).toBe(true);
  });
});
