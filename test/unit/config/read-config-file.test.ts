import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { formatProblem } from "../../../src/config/problem.ts";
import { readConfigFile } from "../../../src/config/read-config-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "penstock-read-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** What a file gives, or its problems with the folder left out. */
async function read(name: string, text?: string, importMs?: number): Promise<unknown> {
  const path = join(folder, name);
  if (text !== undefined) await Bun.write(path, text);
  const result = await readConfigFile(path, importMs === undefined ? {} : { importMs });
  const problems = result.ok ? result.value.problems : result.problems;
  return result.ok && problems.length === 0
    ? result.value.value
    : problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ""));
}

describe("readConfigFile()", () => {
  test("reads TypeScript that imports from penstock, with no package beside it", async () => {
    const text = `
      import { defineConfig, env, type PenstockConfig } from "penstock";
      const config: PenstockConfig = { sidecar: { port: 1, token: env("TOKEN") } };
      export default defineConfig(config);`;
    expect(await read("a.config.ts", text)).toEqual({ sidecar: { port: 1, token: { env: "TOKEN" } } });
  });

  test("waits for a file that awaits", async () => {
    expect(await read("await.ts", "export default await Promise.resolve({ open: true });")).toEqual({ open: true });
  });

  test.each([
    ["promise.ts", "export default Promise.resolve({ open: true });"],
    ["function.ts", "export default (async () => ({ open: true }))();"],
    ["then.ts", "export default { then: (settle: (value: object) => void) => settle({ open: true }) };"],
  ])("waits for what %s exports", async (name, text) => {
    expect(await read(name, text)).toEqual({ open: true });
  });

  test("says what it waits for when a file has no end", async () => {
    const endless = "new Promise<never>(() => {})";
    expect(
      await read("endless.ts", `// await\nconst users = await ${endless};\nexport default { users };\n`, 50),
    ).toEqual([
      "endless.ts:2:15: The file was not done after 0.05 s: it waits for what it awaits here, or for a file that it imports.",
    ]);
    expect(await read("endless-too.ts", 'import "./endless.ts";\nexport default {};\n', 50)).toEqual([
      "endless-too.ts: The file was not done after 0.05 s: it waits for a file that it imports.",
    ]);
    expect(await read("endless-promise.ts", `export default ${endless};\n`, 50)).toEqual([
      "endless-promise.ts: The promise that the file exports did not settle within 0.05 s.",
    ]);
  });

  test("says why a promise that is exported was rejected", async () => {
    const text = 'export default (async () => {\n  throw new Error("boom");\n})();\n';
    expect(await read("rejected.ts", text)).toEqual(["rejected.ts:2:13: boom."]);
  });

  test("reads JavaScript", async () => {
    const text = 'import { defineConfig } from "penstock"; export default defineConfig({ open: true });';
    expect(await read("a.js", text)).toEqual({ open: true });
    expect(await read("a.mjs", text)).toEqual({ open: true });
  });

  test("reads JSON, YAML and TOML", async () => {
    const wanted = { listen: ["8080"], timeouts: { idle: "1s" } };
    expect(await read("a.json", '{"listen":["8080"],"timeouts":{"idle":"1s"}}')).toEqual(wanted);
    expect(await read("a.yaml", 'listen:\n  - "8080"\ntimeouts:\n  idle: 1s\n')).toEqual(wanted);
    expect(await read("a.yml", 'listen: ["8080"]\ntimeouts: {idle: 1s}\n')).toEqual(wanted);
    expect(await read("a.toml", 'listen = ["8080"]\n[timeouts]\nidle = "1s"\n')).toEqual(wanted);
  });

  test("takes an empty YAML or TOML file for one that sets nothing", async () => {
    expect(await read("empty.yaml", "# nothing\n")).toEqual({});
    expect(await read("empty.toml", "")).toEqual({});
  });

  test.each([
    ["syntax.ts", "export default {\n  listen: [,\n", "syntax.ts:2:13: Unexpected end of file."],
    ["throws.ts", 'function f() {\n  throw new Error("boom");\n}\nexport default f();\n', "throws.ts:2:13: boom."],
    ["throws-text.ts", 'throw "boom";', "throws-text.ts: boom."],
    [
      "none.ts",
      "export const a = 1;",
      'none.ts: The file exports no configuration. Write "export default defineConfig({ … })".',
    ],
    [
      "name.ts",
      'import { nope } from "penstock";\nexport default nope;',
      "name.ts: Export named 'nope' not found in module 'penstock'.",
    ],
    ["bad.json", '{"a":1,\n "b": }', "bad.json:2:7: Expected a value."],
    ["bad.yaml", "a: 1\nb: [1\nc: 2\n", "bad.yaml:"],
    ["bad.toml", "a = 1\n\na = 2\n", "bad.toml:3:1: The TOML cannot be read: Cannot redefine key."],
    [
      "twice.yaml",
      "listen: [1]\nusers:\n  file: a\n  file: b\n",
      "twice.yaml:4:3: Found a name twice. Write each setting once.",
    ],
    ["flow.yaml", "limits: { headFields: 1, headFields: 2 }", "flow.yaml:1:26: Found a name twice."],
    ["documents.yaml", "a: 1\n---\nb: 2\n", "documents.yaml:1:1: Found several documents. Write one."],
    ["config.ini", "a=1", "Cannot tell what config.ini is. Give it the ending .ts, .js, .json, .yaml or .toml."],
  ])("says of %s what is wrong and where", async (name, text, message) => {
    const problems = await read(name, text);
    expect(problems).toBeArrayOfSize(1);
    expect((problems as string[])[0]).toStartWith(message);
  });

  test("reads anchors, aliases and merges of YAML", async () => {
    const text = "a: &a { x: 1, y: 2 }\nb:\n  <<: *a\n  y: 3\nc: *a\nd:\n  - <<: [*a, { z: 4 }]\n";
    const a = { x: 1, y: 2 };
    expect(await read("anchors.yaml", text)).toEqual({ a, b: { x: 1, y: 3 }, c: a, d: [{ ...a, z: 4 }] });
  });

  test("refuses aliases that contain themselves, and those that multiply each other", async () => {
    expect(await read("circle.yaml", "rules: &a [*a]\n")).toEqual([
      "rules[0]: Found a value that is part of itself. Write each value out.",
    ]);
    const level = (name: string, of: string): string => `${name}: &${name} [${Array(9).fill(`*${of}`).join(", ")}]`;
    const bomb = ["a: &a [x]", ..."bcdefghi".split("").map((name, at) => level(name, "abcdefgh"[at] ?? ""))];
    expect(await read("bomb.yaml", bomb.join("\n"))).toEqual([expect.stringContaining("too many values")]);
  });

  test.each([
    ["name.js", "export default { password: hunter2 };"],
    ["bare.ts", 'export default { password: "x" hunter2 };'],
    ["end.ts", 'export default { password: "hunter2 };'],
    ["member.ts", "export default { password: null.hunter2 };"],
    ["url.ts", 'throw new Error("cannot reach http://ann:hunter2/x@h:1");'],
    ["bare.toml", "password = hunter2\n"],
    ["twice.toml", "hunter2 = 1\nhunter2 = 2\n"],
    ["alias.yaml", "password: *hunter2\n"],
    ["tag.yaml", "password: !hunter2\n"],
    ["at.yaml", "password: @hunter2\n"],
    ["percent.yaml", "%YAML hunter2\n---\n"],
    ["quote.yaml", "password: 'hunter2\n"],
    ["colon.yaml", "password: hunter2: x\n"],
    ["bare.json", '{ "password": hunter2 }'],
    ["twice.json", '{ "ann:hunter2": 1, "ann:hunter2": 2 }'],
  ])("does not repeat a word of %s that may be a password", async (name, text) => {
    const problems = (await read(`secret-${name}`, text)) as string[];
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.join("\n")).not.toContain("hunter2");
  });

  test("tells every error that the compiler finds", async () => {
    expect(await read("errors.ts", "const a;\nconst b;\nexport default {};\n")).toEqual([
      expect.stringContaining("errors.ts:1:"),
      expect.stringContaining("errors.ts:2:"),
    ]);
  });

  test.each(["gone.ts", "gone.json", "gone.yaml"])("says that %s does not exist", async (name) => {
    expect(await read(name)).toEqual([`Cannot read ${name}: there is no such file or folder.`]);
  });

  test("says that a folder is one", async () => {
    await Bun.write(join(folder, "folder.json", "x"), "");
    expect(await read("folder.json")).toEqual(["Cannot read folder.json: it is a folder."]);
  });
});

describe("readConfigFile() says where", () => {
  test("an imported file is wrong", async () => {
    await Bun.write(join(folder, "typo.ts"), "export const to = ;\n");
    expect(await read("imports-typo.ts", 'import "./typo.ts";\nexport default {};\n')).toEqual([
      "typo.ts:1:19: Unexpected ;.",
    ]);
    await Bun.write(join(folder, "no-list.ts"), '\nthrow new Error("no list today");\n');
    expect(await read("imports-no-list.ts", 'import "./no-list.ts";\nexport default {};\n')).toEqual([
      "no-list.ts:2:11: no list today.",
    ]);
  });

  test("a file is imported that is not there", async () => {
    expect(await read("imports-nothing.ts", '\nimport list from "./list.json";\nexport default list;\n')).toEqual([
      "imports-nothing.ts:2:18: Cannot find module './list.json'.",
    ]);
  });

  test("the file ends the program, which goes on", async () => {
    const before = Object.getOwnPropertyDescriptor(process, "exit");
    expect(await read("exits.ts", "\nprocess.exit(0);\n")).toEqual([
      "exits.ts:2:9: The file ends the program with process.exit(). Throw an error that says why.",
    ]);
    expect(Object.getOwnPropertyDescriptor(process, "exit")).toEqual(before);
  });

  test.each([
    ['to = [\n "a",\n]\ndefault = "deny"\nlisten = [\n "b",\n', "5:1"],
    ['a = """\nx\n"""\nb = """\ny\n', "4:1"],
    ["default = deny\n", "1:11"],
    [`rules = [\n${" { deny = true },\n".repeat(5000)}]\n\ndefault = deny\n`, "5004:11"],
    [`${"#\n".repeat(3000)}default = "deny"\ndefault = "direct"\n`, "3002:1"],
  ])("TOML is wrong: %#", async (text, place) => {
    expect(((await read("wrong.toml", text)) as string[])[0]).toStartWith(
      `wrong.toml:${place}: The TOML cannot be read: `,
    );
  });
});

test("readConfigFile() repeats no text that the engine quotes", async () => {
  const password = "Tr0ub4dor";
  for (const text of [
    `const token: any = "${password}";\ntoken();\n`,
    `("${password}" as any).hash();\n`,
    `const users: any = { "${password}": 1 };\nusers["${password}"]();\n`,
  ]) {
    const told = await read("quotes.ts", text);
    expect(told).toHaveLength(1);
    expect(String(told)).not.toContain(password);
  }
});

test("readConfigFile() reads no text in another encoding", async () => {
  await Bun.write(join(folder, "latin.yaml"), Buffer.from('sidecar:\n  token: "p\u00e4ss"\n', "latin1"));
  expect(await read("latin.yaml")).toEqual([`Cannot read latin.yaml: line 2 is not UTF-8.`]);
});
