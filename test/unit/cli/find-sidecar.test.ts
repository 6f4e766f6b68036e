import { describe, expect, test } from "bun:test";
import { findSidecar } from "../../../src/cli/find-sidecar.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const TOKEN = { PENSTOCK_SIDECAR_TOKEN: "of-the-environment" };

/** Where `/status` is asked, or what is told, with these flags in this folder. */
async function find(
  flags: Readonly<Record<string, string>>,
  { folder = "/nonexistent", variables = TOKEN }: { folder?: string; variables?: Record<string, string> } = {},
  needs?: Parameters<typeof findSidecar>[2],
): Promise<string> {
  const io = createFakeIo({ folder, variables });
  const found = await findSidecar({ io, value: (name) => flags[name] }, "/status", needs);
  expect(io.told).toEqual([]);
  return typeof found === "string" ? found : `${found.unix ?? ""} ${found.url.href} ${found.token}`.trim();
}

describe("--sidecar", () => {
  test.each([
    ["http://10.0.0.1:9080", "http://10.0.0.1:9080/status"],
    ["http://10.0.0.1:9080/", "http://10.0.0.1:9080/status"],
    ["https://proxy.example", "https://proxy.example/status"],
    ["127.0.0.1:9999", "http://127.0.0.1:9999/status"],
    ["[::1]:9999", "http://[::1]:9999/status"],
    ["9999", "http://127.0.0.1:9999/status"],
    ["0.0.0.0:9999", "http://127.0.0.1:9999/status"],
    ["[::]:9999", "http://[::1]:9999/status"],
    ["proxy.example:9080", "http://proxy.example:9080/status"],
    ["unix:side.sock", "/nonexistent/side.sock http://localhost/status"],
    ["/run/penstock/side.sock", "/run/penstock/side.sock http://localhost/status"],
    ["./side", "/nonexistent/side http://localhost/status"],
    ["side.sock", "/nonexistent/side.sock http://localhost/status"],
  ])("%j leads to %j", async (sidecar, expected) => {
    expect(await find({ sidecar })).toBe(`${expected} of-the-environment`);
  });

  test.each(["http://", "ftp://h:1", "http://h:1/path", "http://h:1?x", "host", "host:99999", "http://ann:pw@h:1"])(
    "%j is refused with what is wanted",
    async (sidecar) => {
      const told = await find({ sidecar });
      expect(told).toEndWith("Wanted is http://host:port, host:port or the path of a Unix socket.");
      expect(told).not.toContain("pw");
    },
  );
});

describe("the configuration", () => {
  test("says where the sidecar is, and has its token: in the text, in a variable or in a file", async () => {
    await using folder = await makeFolder({
      "proxy.config.json": { sidecar: { port: 9099, host: "::", token: "own" } },
    });
    const at = { folder: folder.path, variables: {} };
    expect(await find({}, at)).toBe("http://[::1]:9099/status own");
    await folder.write({ "proxy.config.json": { sidecar: { unix: "s.sock", token: { env: "MINE" } } } });
    expect(await find({}, { ...at, variables: { MINE: "hers" } })).toBe(
      `${folder.path}/s.sock http://localhost/status hers`,
    );
    await folder.write({ "proxy.config.json": { sidecar: { port: 1, token: { file: "token" } } }, token: "filed\n" });
    expect(await find({}, at)).toBe("http://127.0.0.1:1/status filed");
    expect(await find({ config: `${folder.path}/proxy.config.json` }, { variables: {} })).toBe(
      "http://127.0.0.1:1/status filed",
    );
    expect(await find({}, { folder: folder.path })).toBe("http://127.0.0.1:1/status of-the-environment");
    expect(await find({ token: "flag" }, { folder: folder.path })).toBe("http://127.0.0.1:1/status flag");
  });

  test("with several tokens gives the one that may do most of what is needed", async () => {
    const tokens = [
      { name: "looks", token: "looks", may: ["read"] },
      { name: "acts", token: "acts", may: ["operate"] },
      { name: "both", token: "both", may: ["read", "operate"] },
    ];
    await using folder = await makeFolder({ "proxy.config.json": { sidecar: { port: 1, tokens } } });
    const at = { folder: folder.path, variables: {} };
    expect(await find({}, at)).toEndWith(" looks");
    expect(await find({}, at, ["operate"])).toEndWith(" acts");
    expect(await find({}, at, ["read", "operate"])).toEndWith(" both");
    expect(await find({}, at, ["capture"])).toEndWith(" looks");
    await folder.write({ "proxy.config.json": { sidecar: { port: 1, tokens, token: "all" } } });
    expect(await find({}, at, ["capture"])).toEndWith(" all");
  });

  test("gives its token to no other machine", async () => {
    await using folder = await makeFolder({ "proxy.config.json": { sidecar: { port: 9099, token: "own" } } });
    const at = { folder: folder.path, variables: {} };
    expect(await find({ sidecar: "[::1]:7" }, at)).toBe("http://[::1]:7/status own");
    expect(await find({ sidecar: "http://127.0.0.2:7" }, at)).toBe("http://127.0.0.2:7/status own");
    const missing = "Missing the token of the sidecar. Set PENSTOCK_SIDECAR_TOKEN.";
    expect(await find({ sidecar: "http://10.0.0.1:7" }, at)).toBe(missing);
    expect(await find({ sidecar: "http://127.0.0.1.example:7" }, at)).toBe(missing);
  });

  test("that cannot be read leads to no other proxy", async () => {
    await using folder = await makeFolder({ "proxy.config.json": "{" });
    expect(await find({}, { folder: folder.path })).toEndWith("Name the sidecar with --sidecar.");
    expect(await find({ config: "gone.json" }, { folder: folder.path })).toMatch(/gone\.json.* Name the sidecar/);
    expect(await find({ sidecar: "127.0.0.1:7" }, { folder: folder.path })).toStartWith("http://127.0.0.1:7/");
    expect(await find({}, { folder: folder.path, variables: { ...TOKEN, PENSTOCK_SIDECAR_PORT: "8" } })).toStartWith(
      "http://127.0.0.1:8/",
    );
  });

  test("with a port that the system chooses leads nowhere", async () => {
    await using folder = await makeFolder({ "proxy.config.json": { sidecar: { port: 0 } } });
    expect(await find({}, { folder: folder.path })).toBe(
      '"sidecar.port" is 0, so nobody knows where the running proxy has it. Name it with --sidecar HOST:PORT.',
    );
  });

  test("without a sidecar leaves the default address", async () => {
    expect(await find({})).toBe("http://127.0.0.1:9080/status of-the-environment");
  });

  test("without a sidecar, and without a token, is what is missing", async () => {
    await using folder = await makeFolder({});
    const at = { folder: folder.path, variables: {} };
    expect(await find({}, at)).toBe(
      `There is no configuration file in ${folder.path}, so that no sidecar is known. Name the configuration with --config, or the sidecar with --sidecar and its token in PENSTOCK_SIDECAR_TOKEN.`,
    );
    await folder.write({ "proxy.config.json": { listen: ["127.0.0.1:0"] } });
    expect(await find({}, at)).toBe(
      `"sidecar" is not set in ${folder.path}/proxy.config.json, so that the running proxy cannot be asked. Set it, such as { "port": 9080, "token": { "file": "sidecar.token" } }, and reload; or name another sidecar with --sidecar, and its token in PENSTOCK_SIDECAR_TOKEN.`,
    );
    const missing = "Missing the token of the sidecar. Set PENSTOCK_SIDECAR_TOKEN.";
    expect(await find({ sidecar: "127.0.0.1:7" }, at)).toBe(missing);
    expect(await find({}, { ...at, variables: { PENSTOCK_SIDECAR_PORT: "8" } })).toBe(missing);
  });

  test("without the token of the configuration says where that should be", async () => {
    await using folder = await makeFolder({ "proxy.config.json": { sidecar: { port: 1, token: { env: "MINE" } } } });
    const at = { folder: folder.path, variables: {} };
    const missing = "Missing the token of the sidecar.";
    expect(await find({}, at)).toBe(
      `${missing} The configuration has it in MINE, which is not set here. Set PENSTOCK_SIDECAR_TOKEN.`,
    );
    await folder.write({ "proxy.config.json": { sidecar: { port: 1, token: { env: "hunter2" } } } });
    expect(await find({}, at)).toBe(
      `${missing} The configuration has it in a variable that is not set here. Set PENSTOCK_SIDECAR_TOKEN.`,
    );
    await folder.write({ "proxy.config.json": { sidecar: { port: 1, token: { file: "gone" } } } });
    expect(await find({}, at)).toBe(
      `${missing} Cannot read ${folder.path}/gone: there is no such file or folder. Set PENSTOCK_SIDECAR_TOKEN.`,
    );
    // Another sidecar has another token.
    expect(await find({ sidecar: "http://10.0.0.1:7" }, at)).toBe(`${missing} Set PENSTOCK_SIDECAR_TOKEN.`);
  });
});
