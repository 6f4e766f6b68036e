import { describe, expect, test } from "bun:test";
import { chown } from "node:fs/promises";
import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { needsRoot } from "../../support/needs.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

/** A working folder without a configuration, and the folder of the service with this one. */
async function makeStand(config: object) {
  const own = await makeFolder();
  const system = await makeFolder({ "proxy.config.json": config });
  const machine = { configFolder: system.path, root: "/nonexistent", isRoot: false };
  return {
    own,
    file: `${system.path}/proxy.config.json`,
    async run(...argv: string[]) {
      const io = createFakeIo({ folder: own.path, machine });
      return { code: await runCli(argv, io), told: io.told, printed: io.printed() };
    },
    async [Symbol.asyncDispose]() {
      await own[Symbol.asyncDispose]();
      await system[Symbol.asyncDispose]();
    },
  };
}

describe("where the working folder has no configuration", () => {
  test("check, explain and test take that of the service, and say so", async () => {
    await using stand = await makeStand({ rules: [{ name: "no-mail", to: ["*:25"], deny: true }] });
    const { own, file, run } = stand;
    const from = `Configuration from ${file}: there is none in ${own.path}.`;
    const checked = await run("check");
    expect(checked).toMatchObject({ code: 0, told: [from, `${file} is valid.`] });
    expect(checked.printed).toContain("no-mail");
    const explained = await run("explain", "192.0.2.1:25");
    expect(explained).toMatchObject({ code: 1, told: [from] });
    expect(explained.printed).toContain("no-mail");
    await own.write({ "policy.yaml": "- nobody → 192.0.2.1:25: deny denied_by_rule by no-mail\n" });
    expect(await run("test", "policy.yaml")).toMatchObject({ code: 0 });
    expect(JSON.parse((await run("check", "--json")).printed)).toMatchObject({ valid: true, file });
    expect((await run("check", "--quiet")).told).toEqual([]);
  });

  test("one in the working folder goes before it", async () => {
    await using stand = await makeStand({ open: 1 });
    await stand.own.write({ "proxy.config.json": {} });
    expect(await stand.run("check")).toMatchObject({
      code: 0,
      told: [`${stand.own.path}/proxy.config.json is valid.`],
    });
  });

  test.each([
    "status",
    "reload",
    "drain",
    "handover",
    "tunnels",
    "upstreams",
    "usage",
    "events",
    "approvals",
    "learn --live 1s",
    "healthcheck",
    "capture -o x.pcapng",
    "check --diff",
  ])("%s asks the sidecar of the service", async (line) => {
    await using stand = await makeStand({ sidecar: { unix: "gone.sock", token: { file: "token" } } });
    const io = stand.file.replace("proxy.config.json", "");
    await Bun.write(`${io}token`, "t0ken\n");
    const { code, told } = await stand.run(...line.split(" "));
    expect(code).toBe(1);
    expect(told.join("\n")).toContain(`Cannot reach the sidecar at ${io}gone.sock`);
  });

  test("-v says which file names the sidecar", async () => {
    await using stand = await makeStand({ sidecar: { unix: "gone.sock", token: "t0ken" } });
    expect((await stand.run("status", "-v")).told[0]).toBe(`Configuration from ${stand.file}.`);
  });

  test("who may not look there is told so, and what to do", async () => {
    await using own = await makeFolder();
    const configFolder = `/${"x".repeat(300)}`;
    const io = createFakeIo({ folder: own.path, machine: { configFolder, root: "/nonexistent", isRoot: false } });
    expect(await runCli(["status"], io)).toBe(2);
    expect(io.told[0]).toStartWith(`There is no configuration file in ${own.path}. Cannot look for`);
    expect(io.told[0]).toEndWith("Run this as root, or name the configuration with --config.");
    expect(await runCli(["check"], io)).toBe(0);
    expect(io.told.join("\n")).toContain("Run this as root if that of the service is meant.");
  });
});

const asRoot = needsRoot();

asRoot("root reads no configuration of another user that nobody named", async () => {
  await using own = await makeFolder({
    "proxy.config.json": { sidecar: { unix: "s.sock", token: "0123456789abcdef" } },
  });
  const file = `${own.path}/proxy.config.json`;
  await chown(file, 4242, 4242);
  const run = async (isRoot: boolean, variables: Record<string, string>, ...argv: string[]) => {
    const machine = { configFolder: "/nonexistent", root: "/nonexistent", isRoot };
    const io = createFakeIo({ folder: own.path, variables, machine });
    return { code: await runCli(argv, io), told: io.told.join("\n") };
  };
  const refused = `${file} belongs to user 4242. Root does not read the configuration of another user`;
  for (const [command, code] of [
    ["check", 78],
    ["explain 192.0.2.1:25", 78],
    ["status", 2],
    ["reload", 2],
  ] as const) {
    const ran = await run(true, {}, ...command.split(" "));
    expect({ command, code: ran.code, isRefused: ran.told.includes(refused) }).toEqual({
      command,
      code,
      isRefused: true,
    });
  }
  expect(await run(true, {}, "check", "--config", file)).toMatchObject({ code: 0 });
  expect(await run(true, { SUDO_UID: "4242" }, "check")).toMatchObject({ code: 0 });
  expect(await run(false, {}, "check")).toMatchObject({ code: 0 });
});

test("root sees the variables that the unit gives the service, and nobody else does", async () => {
  await using root = await makeFolder({
    "conf/proxy.config.json": {
      sidecar: { unix: "s.sock", token: { env: "MINE" } },
      limits: { perUser: { bytes: { day: "1GB" } } },
    },
    variables: "# a comment\nMINE='0123456789abcdef'\nexport x\n",
  });
  const configFolder = `${root.path}/conf`;
  await root.write({
    "lib/systemd/system/penstock.service": `[Service]\nExecStart=/p serve --config ${configFolder}/proxy.config.json\nStateDirectory=penstock\nEnvironment=A=b "PENSTOCK_TIMEOUTS_IDLE=3m"\nEnvironmentFile=-/nonexistent\nEnvironmentFile=${root.path}/variables\n`,
  });
  const run = async (isRoot: boolean, variables: Record<string, string> = {}) => {
    const io = createFakeIo({ folder: "/nonexistent", variables, machine: { configFolder, root: root.path, isRoot } });
    return { code: await runCli(["check", "--json"], io), report: JSON.parse(io.printed()) as Record<string, unknown> };
  };
  expect(await run(true)).toMatchObject({ code: 0, report: { effective: { timeouts: { idle: "3m" } } } });
  expect(await run(true, { PENSTOCK_TIMEOUTS_IDLE: "4m" })).toMatchObject({
    report: { effective: { timeouts: { idle: "4m" } } },
  });
  const { code, report } = await run(false);
  expect(code).toBe(78);
  expect(JSON.stringify(report)).toContain("MINE");
  const io = createFakeIo({ folder: "/nonexistent", machine: { configFolder, root: root.path, isRoot: true } });
  expect(await runCli(["status"], io)).toBe(1);
  expect(io.told[0]).toContain(`Cannot reach the sidecar at ${configFolder}/s.sock`);
});
