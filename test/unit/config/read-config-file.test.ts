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
async function read(name: string, text?: string): Promise<unknown> {
  const path = join(folder, name);
  if (text !== undefined) await Bun.write(path, text);
  const result = await readConfigFile(path);
  return result.ok
    ? result.value
    : result.problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, ""));
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
    ["bad.toml", "a = 1\n\na = 2\n", "bad.toml:3: TOML Parse error: Cannot redefine key 'a'."],
    ["config.ini", "a=1", "Cannot tell what config.ini is. Give it the ending .ts, .js, .json, .yaml or .toml."],
  ])("says of %s what is wrong and where", async (name, text, message) => {
    const problems = await read(name, text);
    expect(problems).toBeArrayOfSize(1);
    expect((problems as string[])[0]).toStartWith(message);
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
