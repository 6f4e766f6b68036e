import { describe, expect, test } from "bun:test";
import { CredentialCache } from "../../../../src/proxy/auth/credential-cache.ts";

describe("CredentialCache", () => {
  test("keys differ in each part, and between caches", () => {
    const cache = new CredentialCache();
    const key = cache.digest("h", "user", "pw");
    expect(cache.digest("h", "user", "pw")).toBe(key);
    expect(cache.digest("i", "user", "pw")).not.toBe(key);
    expect(cache.digest("h", "userp", "w")).not.toBe(key);
    expect(cache.digest("hu", "ser", "pw")).not.toBe(key);
    expect(new CredentialCache().digest("h", "user", "pw")).not.toBe(key);
  });

  test("forgets refusals after five seconds", () => {
    const cache = new CredentialCache();
    cache.rememberRefused("k", 0);
    expect(cache.recall("k", 4999)).toBe("refused");
    expect(cache.recall("k", 5000)).toBeUndefined();
  });

  test("holds so many verified credentials and no more", () => {
    const cache = new CredentialCache({ entries: 2 });
    for (const key of ["a", "b", "c"]) cache.rememberVerified(key, 0, 1000);
    expect(cache.recall("a", 1)).toBeUndefined();
    expect(cache.recall("b", 1)).toBe("accepted");
    expect(cache.recall("c", 1)).toBe("accepted");
  });

  test("a flood of refusals does not push out what is verified", () => {
    const cache = new CredentialCache({ entries: 2 });
    cache.rememberVerified("good", 0, 10_000);
    for (let index = 0; index < 5000; index += 1) cache.rememberRefused(`bad${index}`, 0);
    expect(cache.recall("good", 1)).toBe("accepted");
    expect(cache.recall("bad0", 1)).toBeUndefined();
    expect(cache.recall("bad4999", 1)).toBe("refused");
  });
});
