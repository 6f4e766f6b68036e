import { describe, expect, test } from "bun:test";

import { locateInJson, locateInScript } from "../../../src/config/locate-in-script.ts";
import { locateInToml } from "../../../src/config/parse-toml.ts";
import { locateInYaml } from "../../../src/config/parse-yaml.ts";
import { attachPlaces, type Locate, type OpenModule, readPlace } from "../../../src/config/places.ts";

type Path = (string | number)[];

/** The places of settings in a text, without the name of the file. */
function find(
  locate: Locate,
  text: string,
  paths: readonly Path[],
  files: Readonly<Record<string, string>> = {},
): (string | undefined)[] {
  const problems = paths.map((path) => ({ path, message: "Wrong." }));
  const open: OpenModule = (specifier) => {
    const other = files[specifier];
    return other === undefined ? undefined : { path: specifier, text: other, locate, open };
  };
  return attachPlaces(problems, { path: "f", text, locate, open }).map(({ place }) => place?.replace(/^f:/, ""));
}

/** Shows where: the setting at each "‸" of `marked`, which is taken out, in the order of `paths`. */
function expectMarked(locate: Locate, marked: string, paths: readonly Path[]): void {
  const places: string[] = [];
  let text = "";
  for (const part of marked.split("‸").slice(0, -1)) {
    text += part;
    // No editor counts a byte order mark.
    const lines = text.replace("\ufeff", "").split("\n");
    places.push(`${lines.length}:${(lines.at(-1) ?? "").length + 1}`);
  }
  expect(find(locate, marked.replaceAll("‸", ""), paths)).toEqual(places);
}

const settings: Path[] = [["listen"], ["listen", 1], ["limits", "headBytes"], ["rules", 1, "to", 0]];

describe("attachPlaces()", () => {
  test("finds settings of JSON", () => {
    expectMarked(
      locateInJson,
      `\ufeff{ ‸"listen": ["[,]", ‸7],\n  "limits": {"x": {"headBytes": 1}, ‸"head\\u0042ytes" : "}"},\n"rules":[{"to":["a"]},{"to":\n[‸"b"]}]}`,
      settings,
    );
  });

  test("finds settings of YAML, in blocks and in flow", () => {
    expectMarked(
      locateInYaml,
      `# listen\n‸listen:\n  - a: b\n  - ‸7\nlimits: { x: 1, ‸"headBytes": 5 }\nrules:\n- to: [a]\n- to:\n    - ‸'b'\n`,
      settings,
    );
  });

  test("finds settings of YAML that come from an anchor, and a map's own before those that it takes over", () => {
    const text = `base: &base\n  ‸deny: true\n  to: [‸a]\nother: &other { users: [‸x] }\nrules:\n  - *base\n  - <<: [*base, *other]\n    ‸deny: 1\n`;
    expectMarked(locateInYaml, text, [
      ["rules", 0, "deny"],
      ["rules", 1, "to", 0],
      ["rules", 1, "users", 0],
      ["rules", 1, "deny"],
    ]);
  });

  test("finds settings of TOML, in tables, lists of tables, dotted names and inline tables", () => {
    expectMarked(
      locateInToml,
      `# listen = 1\n‸listen = ["""\n[x]""", ‸7]\n[limits]\nx = { headBytes = 1 }\n‸"headBytes" = 'a#b' # "\n[[rules]]\nto = ["a"]\n[[ rules ]]\nto = [ # ]\n  ‸"b",\n]\n`,
      settings,
    );
    expectMarked(
      locateInToml,
      `timeouts.‸idle = 1\n[upstreams.corp]\n‸url = ""\n[[rules]]\nto = []\ntls.‸min = "1.4"\n`,
      [
        ["timeouts", "idle"],
        ["upstreams", "corp", "url"],
        ["rules", 0, "tls", "min"],
      ],
    );
  });

  test("finds settings of TypeScript, past comments, texts, templates, patterns and functions", () => {
    expectMarked(
      locateInScript,
      `import { defineConfig } from "penstock";
// export default { listen: 1 }
const note = \`export default { listen: \${"}"} \`;
export default defineConfig({
  ‸listen: ["a]" /* ] */, ‸7],
  limits: { x: /[}/]/g, ‸'headBytes': (1 as number) / 2 },
  rules: [
    async ({ host }) => (host.endsWith(".x") ? { deny: true } : undefined),
    { to(): void {}, "to": [‸\`b\`] },
  ],
} satisfies object);
`,
      settings,
    );
  });

  test("finds settings of constants that the exported map names", () => {
    const text = `const limits: { headBytes: string } = { ‸headBytes: "1" };
let rules = [{}, { to: [‸"b"] }] as const
const config: PenstockConfig = { ‸listen: [1, ‸2], limits, rules: rules };
export default config;
`;
    expect(
      find(locateInScript, text.replaceAll("‸", ""), [["listen"], ["limits", "headBytes"], ["rules", 1, "to", 0]]),
    ).toEqual(["3:34", "1:41", "2:25"]);
  });

  test("gives the nearest setting around one that is not written out", () => {
    const text = `const more = load();\nexport default { users: load(), rules: [...more, { to: [] }], limits: { x: 1, ...more } };\n`;
    expect(find(locateInScript, text, [["users", 0, "name"], ["rules", 1, "to"], ["limits", "x"], ["open"]])).toEqual([
      "2:18",
      "2:33",
      "2:63",
      "2:16",
    ]);
  });

  test("lets what is spread later hide what stands before it", () => {
    const text = "export default { default: 1, ...base, open: 1 };";
    expect(find(locateInScript, text, [["default"], ["open"]])).toEqual(["1:16", "1:39"]);
  });

  test("finds settings that are spread from a constant, in maps and lists", () => {
    const text = `const base = { ‸open: 1, default: 2 };
const more = [{ deny: 1 }, { ‸deny: 2 }];
export default { ...base, ‸default: 3, rules: [{ to: [] }, ...more, { ‸to: [] }], ...{ ‸watch: 1 } };
`;
    expectMarked(locateInScript, text, [["open"], ["rules", 2, "deny"], ["default"], ["rules", 3, "to"], ["watch"]]);
  });

  test("finds settings that other files export, and gives those files", () => {
    const text = `import config from "./a.ts";
import { rules, limits as theirs } from "./b.ts";
import data from "./c.json";
import { gone } from "./gone.ts";
export default { ...config, rules, limits: theirs, log: data, dns: gone };
`;
    const files = {
      "./a.ts": "export default {\n  open: 1 };",
      "./b.ts":
        'import { first } from "./d.ts";\nexport const limits = { headBytes: 1 };\nexport const rules = [...first, { to: [] }];',
      "./c.json": '{ "access": 1 }',
      "./d.ts": "export const first: object[] = [{ deny: 1 }];",
    };
    const paths: Path[] = [
      ["open"],
      ["limits", "headBytes"],
      ["rules", 0, "deny"],
      ["rules", 1, "to"],
      ["log", "access"],
      ["dns", "nat64"],
    ];
    expect(find(locateInScript, text, paths, files)).toEqual([
      "./a.ts:2:3",
      "./b.ts:2:25",
      "./d.ts:1:35",
      "./b.ts:3:35",
      "./c.json:1:3",
      "5:63",
    ]);
  });

  test("ends where files import each other", () => {
    const files = { "./a.ts": 'import { x } from "./b.ts"; export { x };', "./b.ts": 'import { x } from "./a.ts";' };
    const text = 'import { x } from "./a.ts"; export default { log: x };';
    expect(find(locateInScript, text, [["log", "access"]], files)).toEqual(["1:46"]);
  });

  test("gives what the file exports where that is not a literal", () => {
    for (const [text, place] of [
      ["export default load();", "1:16"],
      ["\nexport default  function () { return { open: 1 } }", "2:17"],
      ["const a = b, b = a; export default a;", "1:36"],
      ["export default", "1:15"],
      ["export const open = 1;", undefined],
      ["", undefined],
    ] as const)
      expect(find(locateInScript, text, [["open"], []])).toEqual([place, place]);
  });

  test("gives the beginning of the file for what is wrong with the whole of it", () => {
    expect(find(locateInJson, "\n[1]", [[]])).toEqual(["1:1"]);
    expect(find(locateInYaml, "# c\n- a\n", [[]])).toEqual(["1:1"]);
    expect(find(locateInToml, "a = 1\n", [[]])).toEqual(["1:1"]);
  });

  test("writes places that can be read again", () => {
    expect(["/a:b.ts:3:5", "C:\\a.ts:3", "/a.ts"].map(readPlace)).toEqual([
      { file: "/a:b.ts", line: 3, column: 5 },
      { file: "C:\\a.ts", line: 3 },
      { file: "/a.ts" },
    ]);
  });

  test("leaves problems alone that have a place or another origin", () => {
    const problems = [
      { path: ["open"], message: "Wrong.", origin: "--open" },
      { path: ["open"], message: "Wrong.", place: "g:9" },
    ];
    expect(attachPlaces(problems, { path: "f", text: '{"open":1}', locate: locateInJson })).toEqual(problems);
  });
});
