import { describe, expect, test } from "bun:test";

import { applyOverrides, attachOrigins, listOverridingVariables } from "../../../src/config/overrides.ts";
import { formatProblem } from "../../../src/config/problem.ts";

function apply(
  file: unknown,
  variables: Record<string, string> = {},
  flags: Parameters<typeof applyOverrides>[2] = {},
  expected: string[] = [],
) {
  return applyOverrides(file, variables, flags, "/work", expected);
}

describe("applyOverrides()", () => {
  test("goes by flags before environment before file", () => {
    const file = { listen: ["1"], upstream: "file", timeouts: { idle: "1s", connect: "2s" } };
    const variables = { PENSTOCK_LISTEN: "2,3", PENSTOCK_TIMEOUTS_IDLE: "9s" };
    expect(apply(file, variables).raw).toEqual({
      listen: ["2", "3"],
      upstream: "file",
      timeouts: { idle: "9s", connect: "2s" },
    });
    expect(apply(file, variables, { listen: ["4"] }).raw).toMatchObject({ listen: ["4"] });
  });

  test("leaves the file as it was", () => {
    const file = { timeouts: { idle: "1s" } };
    apply(file, { PENSTOCK_TIMEOUTS_IDLE: "9s" });
    expect(file).toEqual({ timeouts: { idle: "1s" } });
  });

  test("hands a file that is no map on as it is", () => {
    expect(apply([1], { PENSTOCK_OPEN: "true" }).raw).toEqual([1]);
  });

  test.each([
    ["PENSTOCK_OPEN", "true", { open: true }],
    ["PENSTOCK_OPEN", "no", { open: "no" }],
    ["PENSTOCK_CLIENTS", "10.0.0.0/8, ::1", { clients: ["10.0.0.0/8", "::1"] }],
    ["PENSTOCK_DEFAULT", "deny", { default: "deny" }],
    ["PENSTOCK_DEFAULT", "a,b", { default: ["a", "b"] }],
    ["PENSTOCK_LIMITS_PER_USER_CONNECTIONS", "5", { limits: { perUser: { connections: 5 } } }],
    ["PENSTOCK_LIMITS_CONNECTIONS", "many", { limits: { connections: "many" } }],
    ["PENSTOCK_USERS_FILE", "u", { users: { file: "/work/u" } }],
    ["PENSTOCK_SIDECAR_UNIX", "s", { sidecar: { unix: "/work/s" } }],
    ["PENSTOCK_LOG_ACCESS", "off", { log: { access: "off" } }],
    [
      "PENSTOCK_USERS",
      "a:b  c:d:e",
      {
        users: [
          { name: "a", password: "b" },
          { name: "c", password: "d:e" },
        ],
      },
    ],
  ])("reads %s=%s", (name, text, raw) => {
    expect(apply({}, { [name]: text }).raw).toEqual(raw);
  });

  test("replaces all users, and makes no name of a text without a colon", () => {
    const file = { users: { file: "u" } };
    expect(apply(file, {}, { user: ["a:b"] }).raw).toEqual({ users: [{ name: "a", password: "b" }] });
    expect(apply(file, {}, { user: ["hunter2"] }).raw).toEqual({ users: [{}] });
  });

  test("lets an upstream from above take the place of the default, and the other way round", () => {
    expect(apply({ default: "corp" }, {}, { upstream: "http://h:1" }).raw).toEqual({ upstream: "http://h:1" });
    expect(apply({ upstream: "http://h:1" }, { PENSTOCK_DEFAULT: "direct" }).raw).toEqual({ default: "direct" });
    expect(apply({}, { PENSTOCK_DEFAULT: "direct", PENSTOCK_UPSTREAM: "x" }).raw).toEqual({
      default: "direct",
      upstream: "x",
    });
  });

  test("lets a port from above take the place of a socket, and the other way round", () => {
    const unix = { sidecar: { unix: "/s", token: "t" } };
    const port = { sidecar: { port: 1, host: "::1", token: "t" } };
    expect(apply(unix, { PENSTOCK_SIDECAR_PORT: "2" }).raw).toEqual({ sidecar: { port: 2, token: "t" } });
    expect(apply(port, { PENSTOCK_SIDECAR_PORT: "2" }).raw).toEqual({ sidecar: { port: 2, host: "::1", token: "t" } });
    expect(apply(port, {}, { sidecar: "unix:x" }).raw).toEqual({ sidecar: { unix: "/work/x", token: "t" } });
    expect(apply(port, {}, { sidecar: "9" }).raw).toEqual({ sidecar: { host: "127.0.0.1", port: 9, token: "t" } });
  });

  test.each([
    [{ PENSTOCK_USERS: "alice" }, "PENSTOCK_USERS: It needs NAME:PASSWORD for each user, apart by spaces."],
    [{ PENSTOCK_LISTEN: " " }, "PENSTOCK_LISTEN: Found an empty text. Write a value, or unset the variable."],
    [
      { PENSTOCK_USERS: "a:b", PENSTOCK_USERS_FILE: "u" },
      "PENSTOCK_USERS: Found PENSTOCK_USERS_FILE as well. Set one of them.",
    ],
  ])("refuses %j", (variables, message) => {
    expect(apply({}, { ...variables }).problems.map(formatProblem)).toEqual([message]);
  });

  test.each([
    [
      { PENSTOCK_LISTNE: "x" },
      'PENSTOCK_LISTNE: There is no such variable, so it is not read. Did you mean "PENSTOCK_LISTEN"?',
    ],
    [{ PENSTOCK_FOO_BAR_BAZ: "x" }, "PENSTOCK_FOO_BAR_BAZ: There is no such variable, so it is not read."],
    // A slip of the hand is no reason to propose an open proxy.
    [{ PENSTOCK_OPN: "true" }, "PENSTOCK_OPN: There is no such variable, so it is not read."],
    [{ PENSTOCK_PORT: "3128" }, "PENSTOCK_PORT: There is no such variable, so it is not read."],
    [
      { PENSTOCK_SIDECAR_PORT: "tcp://10.0.0.1:9080" },
      'PENSTOCK_SIDECAR_PORT: Kubernetes set it to the address of a service, so it is not read. "enableServiceLinks: false" leaves it out.',
    ],
    [{ PENSTOCK_SIDECAR_TOKEN: "t" }, "PENSTOCK_SIDECAR_TOKEN: There is no sidecar that would ask for it."],
  ])("warns of %j, and goes on without", (variables, message) => {
    const over = apply({}, { ...variables });
    expect(over).toMatchObject({ raw: {}, problems: [] });
    expect(over.warnings.map(formatProblem)).toEqual([message]);
  });

  test("says nothing of what Kubernetes sets for a service of our name", () => {
    const variables = {
      PENSTOCK_PORT: "tcp://10.96.0.7:3128",
      PENSTOCK_SERVICE_HOST: "10.96.0.7",
      PENSTOCK_SERVICE_PORT: "3128",
      PENSTOCK_SERVICE_PORT_PROXY: "3128",
      PENSTOCK_PORT_3128_TCP: "tcp://10.96.0.7:3128",
      PENSTOCK_PORT_3128_TCP_PROTO: "tcp",
      PENSTOCK_PORT_3128_TCP_PORT: "3128",
      PENSTOCK_PORT_3128_TCP_ADDR: "10.96.0.7",
      PENSTOCK_METRICS_PORT: "tcp://10.96.0.8:80",
      PENSTOCK_METRICS_SERVICE_HOST: "10.96.0.8",
    };
    expect(apply({}, variables)).toMatchObject({ raw: {}, problems: [], warnings: [] });
  });

  test("keeps the token of a sidecar that is there", () => {
    const variables = { PENSTOCK_SIDECAR_TOKEN: "t" };
    const raw = { sidecar: { port: 1, token: "t" } };
    expect(apply({ sidecar: { port: 1 } }, variables)).toMatchObject({ raw, warnings: [] });
    expect(apply({}, variables, { sidecar: "1" })).toMatchObject({ warnings: [] });
  });

  test("passes over variables of others, the one that names the file, and those that the file asks for", () => {
    const variables = { HOME: "/", PENSTOCK_CONFIG: "x", PENSTOCK_MY_TOKEN: "y" };
    expect(apply({}, variables, {}, ["PENSTOCK_MY_TOKEN"])).toMatchObject({ raw: {}, problems: [] });
  });

  test("refuses a sidecar address that is none", () => {
    expect(apply({}, {}, { sidecar: "here" }).problems.map(formatProblem)[0]).toStartWith(
      '--sidecar: "here" has no port',
    );
  });
});

test("attachOrigins() says which problem came from where", () => {
  const over = apply({}, { PENSTOCK_TIMEOUTS_IDLE: "x" }, { listen: ["y"] });
  const problems = [["listen", 0], ["timeouts", "idle"], ["timeouts", "hook"], []].map((path) => ({
    path,
    message: "Wrong.",
  }));
  expect(attachOrigins(problems, over).map(formatProblem)).toEqual([
    "listen[0] (from --listen): Wrong.",
    "timeouts.idle (from PENSTOCK_TIMEOUTS_IDLE): Wrong.",
    "timeouts.hook: Wrong.",
    "Wrong.",
  ]);
});

test("attachOrigins() leaves out what follows from a flag that could not be read", () => {
  const over = apply({}, {}, { user: ["alice"] });
  expect(over.problems.map(formatProblem)).toEqual(["--user: It needs NAME:PASSWORD, as in --user=alice:s3cret."]);
  expect(attachOrigins([{ path: ["users", 0, "name"], message: "Required." }], over)).toEqual([]);
});

test("listOverridingVariables() names every variable once", () => {
  const names = listOverridingVariables().map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toContain("PENSTOCK_AUTH_CACHE_TTL");
});
