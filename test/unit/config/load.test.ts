import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type LoadOptions, loadConfig } from "../../../src/config/load.ts";
import { formatProblem } from "../../../src/config/problem.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "penstock-load-"));
});
afterAll(() => rm(root, { recursive: true }));

/** A folder of its own with these files. */
async function createFolder(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(root, "f-"));
  for (const [name, text] of Object.entries(files)) await Bun.write(join(folder, name), text);
  return folder;
}

async function load(files: Readonly<Record<string, string>>, options: Partial<LoadOptions> = {}) {
  const folder = await createFolder(files);
  const loaded = await loadConfig({ folder, flags: {}, variables: {}, terminal: false, ...options });
  return {
    file: loaded.file?.replace(`${folder}/`, ""),
    effective: loaded.ok ? loaded.value.compiled.effective : undefined,
    compiled: loaded.ok ? loaded.value.compiled : undefined,
    problems: loaded.ok ? [] : loaded.problems.map((problem) => formatProblem(problem).replaceAll(`${folder}/`, "")),
    folder,
  };
}

describe("loadConfig()", () => {
  test("holds the defaults where there is no file", async () => {
    const { file, effective } = await load({});
    expect(file).toBeUndefined();
    expect(effective).toMatchObject({ listen: [{ host: "127.0.0.1", port: 8080 }], default: "direct" });
  });

  test.each(["proxy.config.ts", "proxy.config.js", "proxy.config.mjs"])("finds %s", async (name) => {
    const { file, effective } = await load({ [name]: 'export default { listen: ["1"] };' });
    expect({ file, listen: effective?.["listen"] }).toEqual({ file: name, listen: ["1"] });
  });

  test.each([
    ["proxy.config.json", '{"listen":["1"]}'],
    ["proxy.config.yaml", 'listen: ["1"]'],
    ["proxy.config.yml", 'listen: ["1"]'],
    ["proxy.config.toml", 'listen = ["1"]'],
  ])("finds %s", async (name, text) => {
    const { file, effective } = await load({ [name]: text });
    expect({ file, listen: effective?.["listen"] }).toEqual({ file: name, listen: ["1"] });
  });

  test("does not choose between two files", async () => {
    const { problems, folder } = await load({ "proxy.config.json": "{}", "proxy.config.toml": "" });
    expect(problems).toEqual([
      `Found proxy.config.json and proxy.config.toml in ${folder}. Keep one of them, or choose with --config.`,
    ]);
  });

  test("reads the file that is named, by flag before variable", async () => {
    const files = { "a.json": '{"listen":["1"]}', "b.json": '{"listen":["2"]}', "proxy.config.json": "{}" };
    const variables = { PENSTOCK_CONFIG: "a.json" };
    expect((await load(files, { variables })).effective?.["listen"]).toEqual(["1"]);
    expect((await load(files, { variables, file: "b.json" })).effective?.["listen"]).toEqual(["2"]);
  });

  test("says where the name of a missing file came from", async () => {
    expect((await load({}, { file: "x.json" })).problems).toEqual([
      "--config: Cannot read x.json: there is no such file or folder.",
    ]);
    expect((await load({}, { variables: { PENSTOCK_CONFIG: "x.json" } })).problems).toEqual([
      "PENSTOCK_CONFIG: Cannot read x.json: there is no such file or folder.",
    ]);
    expect((await load({}, { variables: { PENSTOCK_CONFIG: "" } })).problems).toEqual([
      "PENSTOCK_CONFIG: Found an empty text. Write the path of a file.",
    ]);
  });

  test("starts relative paths at the folder of the file", async () => {
    const files = {
      "etc/p.json": '{"users":{"file":"users"},"sidecar":{"unix":"run/sock","token":{"file":"token"}}}',
      "etc/users": "# nobody yet\n",
      "etc/token": "secret\n",
    };
    const { compiled, folder } = await load(files, { file: "etc/p.json" });
    expect(compiled?.usersFile?.path).toBe(join(folder, "etc/users"));
    expect(compiled?.sidecar?.at).toEqual({ kind: "unix", path: join(folder, "etc/run/sock") });
    expect(compiled?.sidecar?.token?.reveal()).toBe("secret");
  });

  test("tells the problems of file, flags, variables, secrets and passwords at once", async () => {
    const files = {
      "proxy.config.json": JSON.stringify({
        lisen: 1,
        users: { file: "users" },
        sidecar: { port: 1, token: { env: "NOPE" } },
        rules: [{ via: "nowhere" }],
      }),
      users: "alice:plain\n",
    };
    const variables = { PENSTOCK_NOPE: "1", PENSTOCK_TIMEOUTS_IDLE: "5" };
    const { problems } = await load(files, { variables, flags: { listen: ["x"] } });
    const places = problems.map((problem) => problem.split(": ", 1).join());
    expect(places.toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      "PENSTOCK_NOPE",
      "lisen",
      "listen[0] (from --listen)",
      "rules[0].via",
      "sidecar.token.env",
      "timeouts.idle (from PENSTOCK_TIMEOUTS_IDLE)",
      "users.file",
    ]);
  });

  test("lets the file ask for variables with our prefix", async () => {
    const files = { "proxy.config.json": '{"sidecar":{"port":1,"token":{"env":"PENSTOCK_MY_TOKEN"}}}' };
    expect((await load(files, { variables: { PENSTOCK_MY_TOKEN: "t" } })).problems).toEqual([]);
  });

  test("names the file even when it cannot be used", async () => {
    const { file, problems } = await load({ "proxy.config.json": "{" });
    expect(file).toBe("proxy.config.json");
    expect(problems).toEqual(["proxy.config.json:1:2: Expected a name in double quotes."]);
  });
});
