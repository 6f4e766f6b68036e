import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { evaluate } from "../../../src/proxy/policy/evaluate.ts";
import { compileForTest, listCompileProblems } from "../../support/compile-for-test.ts";
import { makeQuery } from "../../support/make-policy.ts";

const users = [{ name: "alice", password: "pw" }];
const auth = { parameters: ["session", "country"] };

function listProblems(raw: object): string[] {
  const checked = checkConfig(raw);
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

describe("auth.parameters", () => {
  test.each([
    [["Session"], "auth.parameters[0]"],
    [["a-b"], "auth.parameters[0]"],
    [["1a"], "auth.parameters[0]"],
    [["user"], "stands for the user itself"],
    [["a", "b", "a"], 'auth.parameters[2]: Found "a" twice'],
    [[], "Found an empty list"],
    ["session", "Put brackets around it"],
    [Array.from({ length: 17 }, (_, at) => `p${at}`), "Found 17 names. Write at most 16."],
  ])("refuses %j", (parameters, message) => {
    expect(listProblems({ users, auth: { parameters } }).join("\n")).toContain(message);
  });

  test("needs users", () => {
    expect(listProblems({ auth })).toEqual([
      'auth.parameters: The proxy asks nobody for a user name. Set "users" too.',
    ]);
  });

  test("refuses users that no client could be, in a list and in a file", () => {
    const hidden =
      'The name ends in a parameter of "auth.parameters", so that it would be taken for another user. Change one of them.';
    const named = (name: string) => ({ name, password: "pw" });
    expect(
      listProblems({
        auth,
        users: [named("a-session"), named("a-session-1"), named("b-country-"), named("session-x")],
      }),
    ).toEqual([`users[1].name: ${hidden}`, `users[2].name: ${hidden}`]);
    const hash = "$2y$05$fIV1YdoAGCwtA7wE1IAwhOqjQGo5hmII2eFNYGoj92H9VCE/uy/aa";
    const files = new Map([["u", `a-session:${hash}\na-session-1:${hash}\n`]]);
    expect(listCompileProblems({ auth, users: { file: "u" } }, { files })).toEqual([
      `users.file: "u", user "a-session-1": ${hidden}`,
    ]);
    expect(listCompileProblems({ users: { file: "u" } }, { files })).toEqual([]);
  });
});

describe("parameters of a rule", () => {
  test.each([
    [{ city: ["x"] }, 'rules[0].parameters.city: There is no parameter "city". Add it to "auth.parameters".'],
    [{ contry: ["x"] }, 'rules[0].parameters.contry: There is no parameter "contry". Did you mean "country"?'],
    [{ country: [] }, "rules[0].parameters.country: Found an empty list"],
    [{ country: "de" }, "rules[0].parameters.country: Found"],
    [{ country: ["de-at"] }, 'rules[0].parameters.country[0]: "de-at" is no value that a client can send.'],
    [{}, "rules[0].parameters: Found an empty map"],
    [["country"], "rules[0].parameters: Found a list. Write a map from parameters to values"],
  ])("refuse %j", (parameters, message) => {
    expect(listProblems({ users, auth, rules: [{ parameters, allow: true }] }).join("\n")).toContain(message);
  });

  test("must all be met, whatever the case of their values", () => {
    const rule = { parameters: { country: ["de", "AT"], session: ["*"] }, deny: true };
    const { policy } = compileForTest({ users, auth, rules: [rule] }).runtime;
    const isDenied = (parameters?: Record<string, string>) => {
      const query = { ...makeQuery("example.org:443", { user: "alice" }), ...(parameters && { parameters }) };
      const found = evaluate(policy, query);
      return found.kind === "decided" && found.decision.verdict === "deny";
    };
    expect([
      isDenied({ country: "de", session: "1" }),
      isDenied({ country: "DE", session: "1" }),
      isDenied({ country: "at", session: "x" }),
    ]).toEqual([true, true, true]);
    expect([
      isDenied(),
      isDenied({ country: "de" }),
      isDenied({ session: "1" }),
      isDenied({ country: "fr", session: "1" }),
    ]).toEqual([false, false, false, false]);
  });

  test("hide another rule only when they allow all that it does", () => {
    const hides = (before: object | undefined, after: object | undefined) => {
      const rules = [before, after].map((parameters) => ({ allow: true, ...(parameters && { parameters }) }));
      return compileForTest({ users, auth, rules }).warnings.length > 0;
    };
    expect(hides(undefined, { country: ["de"] })).toBe(true);
    expect(hides({ country: ["*"] }, { country: ["de"] })).toBe(true);
    expect(hides({ country: ["de", "at"] }, { country: ["DE"], session: ["*"] })).toBe(true);
    expect(hides({ country: ["de"] }, { country: ["de", "at"] })).toBe(false);
    expect(hides({ country: ["de"] }, { country: ["*"] })).toBe(false);
    expect(hides({ country: ["de"] }, undefined)).toBe(false);
    expect(hides({ country: ["de"], session: ["*"] }, { country: ["de"] })).toBe(false);
  });
});

describe("placeholders in the user name of an upstream", () => {
  const listFor = (username: string, more: object = { users, auth }) =>
    listProblems({ ...more, upstreams: { exits: { url: "socks5h://h", username } } });

  test.each([
    ["c-{user}[-s-{session}]", []],
    ["c-{city}", ['upstreams.exits.username: There is no placeholder "city". Add it to "auth.parameters".']],
    ["c-{sesion}", ['upstreams.exits.username: There is no placeholder "sesion". Did you mean "session"?']],
  ])("%p", (username, problems) => expect(listFor(username)).toEqual(problems));

  test("name the setting and what is wrong, without repeating the user name", () => {
    const [problem = ""] = listFor("HUSH-{");
    expect(problem).toStartWith("upstreams.exits.username: The user name has a brace");
    expect(problem).not.toContain("HUSH");
  });

  test("need somebody who is asked for a user name", () => {
    expect(listFor("c-{user}", {})).toEqual([
      'upstreams.exits.username: There is no placeholder "user". The proxy asks nobody for a user name. Set "users".',
    ]);
    const tls = { cert: "c", key: "k", clientCa: "a" };
    expect(listFor("c-{user}", { listen: [{ port: 1, tls }] })).toEqual([]);
  });

  test("are refused in a URL, where they would be sent as they are", () => {
    const message = "The URL has a placeholder in its user.";
    expect(listProblems({ users, auth, upstream: "http://c-{session}:pw@h:1" })[0]).toContain(message);
    expect(listProblems({ users, auth, upstreams: { a: "http://c-{session}@h:1" } })[0]).toContain(message);
    expect(listProblems({ upstreams: { a: "http://c-%7Bsession%7D:p{w}@h:1" } })).toEqual([]);
  });

  test("leave to the rest of the name what no upstream could be sent", () => {
    const long = "u".repeat(255);
    const compile = (url: string, username: string) =>
      listCompileProblems({ users, auth, upstreams: { exits: { url, username } } });
    expect(compile("http://h:1", "a:{user}").join()).toContain("has a colon");
    expect(compile("socks5://h", "a:{user}")).toEqual([]);
    expect(compile("socks5://h", `${long}-{user}`).join()).toContain("more than 255 bytes");
  });
});
