import { describe, expect, test } from "bun:test";
import { Secret } from "../../../../src/secret.ts";
import { readFault } from "../../../../src/state/redis/redis-fault.ts";
import { isSameRedis, type RedisPlan, writeRedisUrl } from "../../../../src/state/redis/redis-plan.ts";

describe("what an error of Redis means", () => {
  test.each([
    ["OOM command not allowed when used memory > 'maxmemory'. script: 1a, on @user_script:1.", "full"],
    ["READONLY You can't write against a read only replica.", "read_only"],
    ["MISCONF Redis is configured to save RDB snapshots, but", "read_only"],
    ["NOREPLICAS Not enough good replicas to write.", "read_only"],
    ["WRONGPASS invalid username-password pair or user is disabled.", "login"],
    ["NOAUTH Authentication required.", "login"],
    ["NOPERM User edge has no permissions to run the 'eval' command", "not_permitted"],
    ["LOADING Redis is loading the dataset in memory", "loading"],
    ["MOVED 1234 10.0.0.1:6379", "cluster"],
    ["ERR DB index is out of range", "database"],
    ["ERR something new", "error"],
    ["constructor of nothing", "error"],
  ] as const)("%s", (message, kind) => {
    expect(readFault(message).kind).toBe(kind);
  });

  test("a message of the server stays in one line, and short", () => {
    const { why } = readFault(`ERR \u001B[2J\r\nforged line ${"x".repeat(1000)}`);
    expect(why).not.toMatch(/\p{C}/u);
    expect(why.length).toBeLessThan(220);
  });
});

describe("the address for Bun's client", () => {
  const plan: RedisPlan = { host: "::1", port: 6380, name: "[::1]:6380", database: 3, prefix: "penstock:" };

  test("has credentials percent-encoded, and IPv6 in brackets", () => {
    expect(writeRedisUrl(plan)).toBe("redis://[::1]:6380/3");
    expect(writeRedisUrl({ ...plan, user: "ü", password: new Secret("p@/:?#%"), tls: { ca: undefined } })).toBe(
      "rediss://%C3%BC:p%40%2F%3A%3F%23%25@[::1]:6380/3",
    );
  });

  test("differs by everything that leads elsewhere", () => {
    expect(isSameRedis(plan, { ...plan })).toBe(true);
    expect(isSameRedis(plan, { ...plan, prefix: "other:" })).toBe(false);
    expect(isSameRedis(plan, { ...plan, password: new Secret("x") })).toBe(false);
    expect(isSameRedis({ ...plan, tls: { ca: ["a"] } }, { ...plan, tls: { ca: ["b"] } })).toBe(false);
  });
});
