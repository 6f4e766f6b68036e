import { describe, expect, test } from "bun:test";
import fc from "fast-check";

import { listSettingNames } from "../../../src/config/setting-names.ts";
import { type Notation, showLine } from "../../../src/config/show-line.ts";

const names = listSettingNames();

type Path = readonly (string | number)[];

/** What is shown of the line at "‸", which is taken out. */
function show(
  marked: string,
  path: Path,
  notation: Notation = "script",
  message = tellAll(marked),
): string | undefined {
  const before = (marked.split("‸")[0] ?? "").split("\n");
  const place = { line: before.length, column: (before.at(-1) ?? "").replace("\ufeff", "").length + 1, path, message };
  return showLine(marked.replace("‸", ""), notation, place, names)?.join("\n");
}

/** A message that repeats every word of a line. */
function tellAll(line: string): string {
  return Array.from(line.matchAll(/[^\s"'`‸,{}[\]]+/g), ([word]) => `${JSON.stringify(word)} ${word} `).join("");
}

describe("showLine()", () => {
  test("shows no value that the message does not repeat, since a secret may stand where none belongs", () => {
    const line = '{ ‸"port": "S3krkr3t", "host": "S3krkr3t", "idle": 4711, "rate": 5, "to": ["a:0", "S3krkr3t"] }';
    const shown = show(line, ["sidecar", "port"], "script", 'Found a text, 5 and "a:0". Write a number.');
    expect(shown?.split("\n")[0]).toBe('1 | { "port": "…", "host": "…", "idle": …, "rate": 5, "to": ["a:0", "…"] }');
  });

  test("marks the place below the line", () => {
    expect(show('{\n  "rules": [{ "to": [‸"a:0"] }]\n}', ["rules", 0, "to", 0])).toBe(
      '2 | "rules": [{ "to": ["a:0"] }]\n  |                    ^^^^^',
    );
  });

  test("marks the right column after tabs and wide characters, and in a file of Windows", () => {
    expect(show('\ufefflisten:\r\n\t- ["日本語",\t‸"a"]\r\nx: 1', ["listen", 1], "yaml")).toBe(
      '2 | - ["日本語",  "a"]\n  |               ^^^',
    );
    expect(show("\ufeff‸open: 1\r\n", ["open"], "yaml")).toBe("1 | open: 1\n  | ^^^^");
  });

  test("cuts a long line around the place", () => {
    const rules = (count: number) => '{"to":["a.example"]},'.repeat(count);
    const text = `{"rules":[${rules(4000)}{"to":[‸"a:0"]},${rules(4000)}{}]}`;
    expect(show(text, ["rules", 4000, "to", 0])).toBe(
      `1 | …"a:0"]},${'{"to":["a.example"]},'.repeat(4)}{"to":[ …\n  |  ^^^^^`,
    );
    const [line = "", mark = ""] = show(`{"rules":[${rules(40)}{"to":[‸"a:0"]},${rules(40)}{}]}`, [
      "rules",
      40,
      "to",
      0,
    ])?.split("\n") ?? [""];
    expect(line.length).toBeLessThan(120);
    expect(line.slice(mark.indexOf("^"), mark.lastIndexOf("^") + 1)).toBe('"a:0"');
  });

  test("shows no line of which a part is in a text with several lines", () => {
    expect(show('a = """\nhunter2""", ‸open = 1', ["open"], "toml")).toBeUndefined();
    expect(show("‸a: 1\n", ["a"], "yaml")).toBe("1 | a: …\n  | ^");
  });

  const secrets: readonly [line: string, path: Path, notation?: Notation][] = [
    ['{ ‸"users": [{ "name": "hunter2", "password": "hunter2" }] }', ["users"]],
    ['{ "users": { "hunter2": "hunter2" }, ‸"opne": true }', ["opne"]],
    ['"hunter2": "hunter2" }, ‸"open": 1 }', ["open"]],
    ['name: "hunter2", limits: {} }], ‸open: 1', ["open"]],
    ['{ ‸name: "hunter2" }', ["users", 0, "name"]],
    ["‸hunter2: 5", ["users", "hunter2"], "yaml"],
    ["- ‸hunter2", ["users", 0], "yaml"],
    ["- ‸alice:hunter2", ["users", 0], "yaml"],
    ["- ‸alice correct hunter2 # hunter2", ["users", 0], "yaml"],
    ['upstreams: { corp: { ‸url: "http://u:hunter2@h", password: hunter2 } }', ["upstreams", "corp", "url"]],
    ["upstreams: {‸corp: http://u:hunter2@h}", ["upstreams", "corp"], "yaml"],
    ["via: hunter2:x@h, ‸open: 1", ["open"], "yaml"],
    ["‸open: 1 // hunter2", ["open"]],
    ["/* hunter2 */ ‸open: 1 /* hunter2", ["open"]],
    ["‸open = 1 # hunter2", ["open"], "toml"],
    ['‸token = { file = "hunter2" }', ["sidecar", "token"], "toml"],
    ['users.x.name = "hunter2"\nusers.y.‸limits.rate = "hunter2"', ["users", "y", "limits"], "toml"],
    ['request.set.‸via = "hunter2"', ["rules", 0, "request", "set", "via"], "toml"],
    ['‸request: { set: { via: "hunter2", name: "hunter2" } }', ["rules", 0, "request"]],
    ["‸passwrd: \"hunter2\", pass: 'hunter2', key2: `hunter2`", ["passwrd"]],
    ['‸to: ["a", { hunter2: "hunter2" }]', ["rules", 0, "to"]],
    ['‸to: ["hunter2\\u0041", "hunter2 \\" x:hunter2"]', ["rules", 0, "to"]],
    ['‸to: "a, hunter2', ["rules", 0, "name"]],
    ['{"password": ‸hunter2, "name": hunter2, "via": "hunter2"}', []],
    ["name: ‸hunter2", [], "yaml"],
    ['state: { ‸redis: "hunter2" }', ["state", "redis"]],
    ['‸telemetry: { headers: { from: "hunter2" } }', ["telemetry"]],
  ];

  test.each(secrets.map(([line, path, notation = "script"]) => [line, path, notation] as const))(
    "hides what may be a secret in %s",
    (line, path, notation) => {
      const shown = show(line, path, notation);
      expect(shown ?? "^").toContain("^");
      expect((shown ?? "").replace("u0041", "")).not.toMatch(/hunter2(?!\\)/);
    },
  );

  test("shows of any line only what a message may repeat", () => {
    const part = fc.oneof(
      fc.constantFrom(..."{}[](),:;=\"'`#/*- \t\\\n".split(""), "password: ", "users: ", '"', "//", "/*"),
      fc.constantFrom("name", "to", "via", "url", "true", "5", "日本"),
    );
    const notations = fc.constantFrom<Notation[]>("script", "yaml", "toml");
    fc.assert(
      fc.property(fc.array(part), fc.array(part), notations, (before, after, notation) => {
        const text = `${before.join("")}s3cr:t@x${after.join("")}`;
        const lines = before.join("").split("\n");
        const place = {
          line: lines.length,
          column: (lines.at(-1) ?? "").length + 1,
          path: ["rules", 0, "to", 0],
          message: tellAll(text),
        };
        const [line = "", mark = ""] = showLine(text, notation, place, names) ?? [];
        expect(line).not.toContain("s3cr:t@x");
        expect(line === "" || mark.trimEnd().endsWith("^")).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
