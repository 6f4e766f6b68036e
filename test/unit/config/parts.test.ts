import { describe, expect, test } from "bun:test";

import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";

function listProblems(raw: unknown): string[] {
  const checked = checkConfig(raw);
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

describe("checkConfig() on settings that contradict each other where something is malformed", () => {
  test.each(
    (
      [
        [
          { listen: [{ host: "0.0.0.0", port: "x" }] },
          'listen[0]: Cannot bind 0.0.0.0: the listener has no users. Set "users", or "open: true" to run an open proxy.',
        ],
        [{ listen: [5, "127.0.0.1:5", true] }, "listen[1]: Found 127.0.0.1:5 twice."],
        [
          {
            users: [
              { name: "a", password: 1 },
              { name: "a", password: 2 },
            ],
          },
          'users[1].name: Found the user "a" twice.',
        ],
        [{ users: [{ name: "a" }], rules: [{ users: ["b"], deny: true }] }, 'rules[0].users[0]: There is no user "b".'],
        [
          { upstreams: { direct: { url: "http://h:1", ca: "ca", tunnelHttp: 1 } } },
          "upstreams.direct.ca: The upstream is of kind http",
        ],
        [{ upstreams: { direct: 5 } }, 'upstreams.direct: The name "direct" has a meaning of its own.'],
        [{ rules: [{ via: "x", to: ["["], deny: true }] }, 'rules[0].via: There is no upstream "x".'],
        [{ rules: [{ via: "x", to: ["["], deny: true }] }, 'rules[0].via: The rule denies. Leave out "deny" or "via".'],
        [{ sidecar: { port: "x", host: "0.0.0.0" } }, 'sidecar.host: Cannot bind "0.0.0.0": the sidecar has no token.'],
        [{ rules: [{ sni: ["a b"] }] }, 'rules[0].sni[0]: "a b" cannot be matched'],
        [{ rules: [{ sni: 5 }] }, 'rules[0].sni: Found 5. Write "match" or a list of names.'],
        [{ rules: [{ deny: true, tunnelHttp: true }] }, "rules[0].tunnelHttp: The rule denies."],
        [{ sidecar: { unix: 1, port: 2 } }, 'sidecar: Both "port" and "unix" are set.'],
      ] satisfies [unknown, string][]
    ).map(([raw, message]) => [message, raw] as const),
  )("says %s", (message, raw) => {
    expect(listProblems(raw).join("\n")).toContain(message);
  });

  test("does not take a malformed setting for one that is absent", () => {
    const raw = {
      listen: ["0.0.0.0:1"],
      users: 5,
      upstreams: 5,
      rules: [{ via: "a", users: ["b"], allow: "yes" }],
      sidecar: { port: "x", token: 5, host: "::" },
    };
    expect(listProblems(raw).map((problem) => problem.slice(0, problem.indexOf(":")))).toEqual([
      "users",
      "upstreams",
      "rules[0].allow",
      "sidecar.port",
      "sidecar.token",
    ]);
  });
});
