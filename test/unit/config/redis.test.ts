import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { compileForTest } from "../../support/compile-for-test.ts";

function listProblems(state: unknown): string[] {
  const checked = checkConfig({ state });
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

const url = "rediss://redis.example";

function user(name: string, limits: object) {
  return { name, password: "secret-of-someone", limits };
}

describe("the settings of Redis", () => {
  test.each<[string, unknown, string]>([
    [
      "no scheme",
      { redis: "redis.example:6379" },
      'state.redis: The address cannot be read. Write one such as "rediss://redis.example:6379/0", and percent-encode what is not a letter or a digit in a password.',
    ],
    [
      "another scheme",
      { redis: "http://geheim@redis.example" },
      'state.redis: The address begins with another scheme. Write "rediss://", or "redis://" without TLS.',
    ],
    ["no server", { redis: "redis://:geheim@" }, "state.redis: The address names no server: the host is empty."],
    [
      "a database that is a word",
      { redis: `${url}/penstock` },
      'state.redis: The address names a database that is no number. Write one as in "rediss://redis.example:6379/0".',
    ],
    [
      "a port out of range",
      { redis: "redis://u:geheim@redis.example:70000" },
      "state.redis: The address names no server: a port is a decimal number from 1 to 65535, without sign or leading zeros.",
    ],
    [
      "a password that is not encoded",
      { redis: "redis://u:gehe@im@redis.example" },
      'state.redis: The address has credentials that cannot be read. Write "user:password@" with @, /, #, ?, : and % percent-encoded.',
    ],
    [
      "two passwords",
      { redis: "rediss://:geheim@redis.example", password: "geheim" },
      'state.password: The address in "redis" has a password already. Leave one of them out.',
    ],
    [
      "authorities without TLS",
      { redis: "redis://redis.example", ca: "ca.pem" },
      'state.ca: There is no TLS to check. Write "rediss://" in "redis", or leave "ca" out.',
    ],
    [
      "a prefix without a server",
      { prefix: "edge:" },
      'state.prefix: "prefix" is for a Redis server. Set "redis" too.',
    ],
    [
      "a prefix with a space",
      { redis: url, prefix: "my proxy:" },
      "state.prefix: A text has characters that make keys hard to read. Write letters, digits and punctuation.",
    ],
  ])("%s is refused, and no secret is repeated", (_, state, message) => {
    expect(listProblems(state)).toEqual([message]);
    expect(message).not.toContain("geheim");
  });

  test("have defaults for port, database and prefix", () => {
    const { redis, warnings } = compileForTest({ state: { redis: url } });
    expect(redis).toEqual({
      host: "redis.example",
      port: 6379,
      name: "redis.example:6379",
      database: 0,
      prefix: "penstock:",
      tls: { ca: undefined },
    });
    expect(warnings).toEqual([]);
  });

  test("have credentials in the address, or a password from a variable; none is shown", () => {
    const inUrl = compileForTest({ state: { redis: "rediss://edge:p%40ss@[2001:db8::1]:7000/3", prefix: "edge:" } });
    expect(inUrl.redis).toMatchObject({ host: "2001:db8::1", port: 7000, database: 3, user: "edge", prefix: "edge:" });
    expect(inUrl.redis?.password?.reveal()).toBe("p@ss");
    expect(JSON.stringify([inUrl.effective, inUrl.redis])).not.toMatch(/p@ss|p%40ss/);
    expect(inUrl.secrets).toContain("p@ss");
    const besides = compileForTest({ state: { redis: url, password: "geheim" } });
    expect(besides.redis?.password?.reveal()).toBe("geheim");
    expect(JSON.stringify([besides.effective, besides.redis])).not.toContain("geheim");
    expect(besides.secrets).toContain("geheim");
  });

  test.each<[string, object]>([
    ["limits.bandwidth", { limits: { bandwidth: "1MB/s", rate: "5/s" } }],
    ["limits.perUser.bandwidth", { users: [user("a", {})], limits: { perUser: { bandwidth: { up: "1MB/s" } } } }],
    ["limits.perClient.bandwidth", { limits: { perClient: { bandwidth: "1MB/s" } } }],
    ["users[1].limits.bandwidth", { users: [user("a", {}), user("b", { bandwidth: "1MB/s" })] }],
    ["rules[0].bandwidth", { rules: [{ name: "m", to: ["a.example"], bandwidth: "1MB/s" }] }],
  ])("share no bandwidth, which is told with %s", (setting, config) => {
    const [warning, ...others] = compileForTest({ ...config, state: { redis: url } }).warnings;
    expect(warning && formatProblem(warning)).toBe(
      `${setting}: Bandwidth is not shared through Redis: each proxy allows the whole of it.`,
    );
    expect(others).toEqual([]);
    expect(compileForTest(config).warnings).toEqual([]);
  });

  test("without TLS they are warned of, except on this machine", () => {
    expect(compileForTest({ state: { redis: "redis://127.0.0.1" } }).warnings).toEqual([]);
    expect(compileForTest({ state: { redis: "redis://10.0.0.1" } }).warnings).toEqual([
      {
        path: ["state", "redis"],
        message:
          'Redis is used without TLS: whoever is on the way can read names of users and change their counts. Write "rediss://".',
      },
    ]);
  });
});
