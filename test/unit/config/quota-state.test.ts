import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { compileConfig } from "../../../src/config/compile.ts";
import { formatProblem } from "../../../src/config/problem.ts";

/** What is wrong with a configuration, one line each. */
function findProblems(raw: object, variables: Readonly<Record<string, string>> = {}): string[] {
  const checked = checkConfig(raw);
  const compiled = checked.ok
    ? compileConfig(checked.value, { files: new Map(), variables, terminal: false, folder: "/etc" })
    : checked;
  return compiled.ok ? [] : compiled.problems.map(formatProblem);
}

const bytes = { day: "1GB" };
const users = [{ name: "ci", password: "plain-password", limits: { bytes: { month: "1TB" } } }];

describe("quotas", () => {
  test("without a folder for state are an error at each place", () => {
    const message =
      'A quota needs "state.folder" or "state.redis", where use is kept: without them each start would forget what was used.';
    expect(findProblems({ users, limits: { perUser: { bytes } } })).toEqual([
      `limits.perUser.bytes: ${message}`,
      `users[0].limits.bytes: ${message}`,
    ]);
    expect(findProblems({ users, state: { folder: "/var/lib/penstock" } })).toEqual([]);
    expect(findProblems({ users }, { STATE_DIRECTORY: "/var/lib/penstock" })).toEqual([]);
    expect(findProblems({ limits: { perUser: { bytes: {} } } })).toEqual([]);
  });
});

describe("the calendar of use", () => {
  test.each(["UTC", "Europe/Berlin", "Pacific/Apia"])("knows the zone %s", (timezone) => {
    expect(findProblems({ state: { timezone } })).toEqual([]);
  });

  test.each(["Berlin", "+01:00", "Europe/berlin/x"])("refuses the zone %s", (timezone) => {
    expect(findProblems({ state: { timezone } })).toEqual([
      expect.stringMatching(/^state\.timezone: .* is not a time zone that is known here\. Write an IANA name such as /),
    ]);
  });

  test.each([0, 29, 1.5])("has no month that begins on %p", (monthStart) => {
    expect(findProblems({ state: { monthStart } })).toHaveLength(1);
  });
});
