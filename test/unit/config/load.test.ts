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
    warnings: loaded.warnings.map((warning) => formatProblem(warning).replaceAll(`${folder}/`, "")),
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

  test("does not bring back the defaults in the place of a file that is gone or sets nothing any more", async () => {
    const file = "/etc/proxy.config.json";
    const gone = await load({}, { inUse: { file } });
    expect(gone.problems).toEqual([`There is no ${file} any more. Put it back, or restart to run with the defaults.`]);
    const inUse = { file };
    for (const [name, text] of [
      ["proxy.config.yaml", "# nothing yet\n"],
      ["proxy.config.toml", ""],
      ["proxy.config.json", "{}"],
    ] as const)
      expect((await load({ [name]: text }, { inUse })).problems).toEqual([
        `${name} sets nothing any more. Write its settings, or restart to run with the defaults.`,
      ]);
    const empty = await load({ "proxy.config.yaml": "" }, { inUse: { file, setsNothing: true } });
    expect(empty.problems).toEqual([]);
    const none = await load({}, { inUse: { setsNothing: true } });
    expect(none.problems).toEqual([]);
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
    expect(compiled?.sidecar?.tokens[0]?.token.reveal()).toBe("secret");
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
    const { problems, warnings } = await load(files, { variables, flags: { listen: ["x"] } });
    const places = problems.map((problem) => problem.split(": ", 2).join(": "));
    expect(places.map((place) => place.replace(/: (?:"|There).*/, "")).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      "listen[0] (from --listen)",
      "proxy.config.json:1:21: users.file",
      "proxy.config.json:1:2: lisen",
      "proxy.config.json:1:66: sidecar.token.env",
      "proxy.config.json:1:91: rules[0].via",
      "timeouts.idle (from PENSTOCK_TIMEOUTS_IDLE)",
    ]);
    expect(warnings).toEqual(["PENSTOCK_NOPE: There is no such variable, so it is not read."]);
  });

  test.each([
    ['a: { pool: ["nobody"] }', 'upstreams.a.pool[0]: There is no upstream "nobody".'],
    ["a: { pool: [b] }, b: { pool: [a] }", 'upstreams.a.pool[0]: The pool "a" would be a member of itself.'],
    ['a: { pool: [b] }, b: { pac: "p.pac" }', 'upstreams.a.pool[0]: A PAC file chooses the upstream "b"'],
    ["a: { pool: [{ weight: 2 }] }", 'upstreams.a.pool[0]: Found neither "url" nor "upstream".'],
    ['a: { pac: "p.pac", logins: { "bad host!": { username: u } } }', "This names no proxy."],
  ])("tells what contradicts itself in the upstreams { %s }, together with the files", async (upstreams, message) => {
    const { problems } = await load({
      "proxy.config.yaml": `upstreams: { ${upstreams}, exits: { pool: [{ url: "https://x:1", ca: "x.pem" }] } }`,
      "p.pac": "function FindProxyForURL() { return 'DIRECT' }",
      "x.pem": "no certificate",
    });
    expect(problems.join("\n")).toContain(message);
    expect(problems.join("\n")).toContain("upstreams.exits.pool[0].ca");
  });

  test("tells what is no plain data together with what the schema says", async () => {
    const text = `export default {
  users: new Map(),
  listen: ["0.0.0.0:1"],
  limits: { connections: "5" },
};
`;
    expect((await load({ "proxy.config.ts": text })).problems).toEqual([
      "proxy.config.ts:2:3: users: Found a Map. Write a plain map of settings, as Object.fromEntries() makes it.",
      'proxy.config.ts:4:13: limits.connections: Found "5". Write a whole number from 1 to 1000000. Leave out the quotes.',
    ]);
  });

  test("warns of what looks like a configuration file where there is none", async () => {
    expect((await load({ "penstock.yaml": "open: true" })).warnings).toEqual([
      "penstock.yaml looks like a configuration file, and is not read. Name it proxy.config.yaml, or read it with --config.",
    ]);
    expect((await load({ "penstock.yaml": "open: true", "proxy.config.json": "{}" })).warnings).toEqual([]);
  });

  test("warns of a users file without users", async () => {
    const files = { "proxy.config.yaml": "users:\n  file: users\n", users: "# nobody yet\n" };
    const { warnings, folder } = await load(files);
    expect(warnings).toEqual([
      `proxy.config.yaml:2:3: users.file: ${folder}/users has no users: nobody can use the proxy until it has.`.replace(
        `${folder}/`,
        "",
      ),
    ]);
  });

  test("does not let a token of the sidecar alone make one", async () => {
    const { effective, warnings } = await load({}, { variables: { PENSTOCK_SIDECAR_TOKEN: "t" } });
    expect(effective?.["sidecar"]).toBeUndefined();
    expect(warnings).toHaveLength(1);
  });

  test("does not look for the file of a key that stands where its path should", async () => {
    const key = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";
    const listen = [{ port: 1, tls: { cert: "cert.pem", key } }];
    const { problems } = await load({ "proxy.config.json": JSON.stringify({ listen }) });
    expect(problems.join("\n")).toContain("listen[0].tls.key: Found the text of a PEM file. Write the path of a file");
    expect(problems.join("\n")).not.toContain("hunter2");
  });

  test("refuses a path that is too long for a socket", async () => {
    const { problems } = await load({}, { flags: { sidecar: `unix:/${"x".repeat(107)}` } });
    expect(problems).toEqual([expect.stringContaining("sidecar.unix (from --sidecar): The path is too long")]);
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
