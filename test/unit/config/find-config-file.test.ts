import { describe, expect, test } from "bun:test";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";

import { findConfigFile } from "../../../src/config/find-config-file.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

async function find(folder: string, file?: string) {
  const found = await findConfigFile({ folder, variables: {}, ...(file !== undefined && { file }) });
  return found.ok ? found.value : found.problems.map((problem) => formatProblem(problem).replaceAll(folder, "."));
}

describe("findConfigFile()", () => {
  test.each([
    ["a link that leads nowhere", (path: string) => symlink("..data/proxy.config.json", path)],
    ["a link to itself", (path: string) => symlink("proxy.config.json", path)],
    ["a folder", (path: string) => mkdir(path)],
  ])("finds %s, which is there though it cannot be read", async (_, make) => {
    await using folder = await makeFolder();
    await make(join(folder.path, "proxy.config.json"));
    expect(await find(folder.path)).toEqual({ file: join(folder.path, "proxy.config.json") });
  });

  test("does not take a folder that it may not look into for one without a configuration", async () => {
    // Root may look everywhere: the name of a file that is too long is refused to everybody.
    const folder = `/${"x".repeat(300)}`;
    expect(await find(folder)).toEqual([expect.stringContaining("Cannot look for a configuration file in")]);
  });

  test("finds none in a folder that is not there", async () => {
    expect(await find("/nonexistent/folder")).toEqual({ similar: [] });
  });

  test("names what looks like a configuration file where there is none", async () => {
    const near = [
      "Proxy.config.ts",
      "penstock.yaml",
      "penstock.config.toml",
      "proxy.cofnig.json",
      "proxy.conf",
      "proxy.config.cjs",
      "proxy.config.json5",
      "proxy.config.jsonc",
      "proxy.config.ts.txt",
      "proxy.yml",
    ];
    const far = [
      "package.json",
      "tsconfig.json",
      "penstock",
      "penstock.service",
      "users.htpasswd",
      "vite.config.ts",
      "squid.conf",
    ];
    await using folder = await makeFolder(Object.fromEntries([...near, ...far].map((name) => [name, ""])));
    expect(await find(folder.path)).toEqual({ similar: near.toSorted() });
  });

  test("says where the name of a file came from that cannot be found", async () => {
    await using folder = await makeFolder();
    expect(await find(folder.path, "x.json")).toEqual([
      "--config: Cannot read ./x.json: there is no such file or folder.",
    ]);
  });

  test("looks into the folder of the service where the working folder has none, and nowhere else", async () => {
    await using own = await makeFolder({ "proxy.yml": "" });
    await using system = await makeFolder({ "proxy.config.json": {} });
    const places = { folder: own.path, systemFolder: system.path, variables: {} };
    const file = join(system.path, "proxy.config.json");
    expect(await findConfigFile(places)).toEqual({ ok: true, value: { file, isSystem: true, similar: ["proxy.yml"] } });
    expect(await findConfigFile({ ...places, folder: system.path })).toEqual({ ok: true, value: { file } });
    const named = { ...places, variables: { PENSTOCK_CONFIG: "proxy.yml" } };
    expect(await findConfigFile(named)).toEqual({ ok: true, value: { file: join(own.path, "proxy.yml") } });
    await own.write({ "proxy.config.toml": "" });
    expect(await findConfigFile(places)).toEqual({ ok: true, value: { file: join(own.path, "proxy.config.toml") } });
  });

  test("names what the folder of the service has instead of a configuration file", async () => {
    await using own = await makeFolder();
    await using system = await makeFolder({ "penstock.yaml": "" });
    expect(await findConfigFile({ folder: own.path, systemFolder: system.path, variables: {} })).toEqual({
      ok: true,
      value: { similar: [join(system.path, "penstock.yaml")] },
    });
    await system.write({ "proxy.config.json": {}, "proxy.config.ts": "" });
    const twice = await findConfigFile({ folder: own.path, systemFolder: system.path, variables: {} });
    expect(twice.ok).toBe(false);
  });

  test("without a configuration says that it may not look into the folder of the service", async () => {
    await using own = await makeFolder();
    const systemFolder = `/${"x".repeat(300)}`;
    const found = await findConfigFile({ folder: own.path, systemFolder, variables: {} });
    expect(found).toEqual({
      ok: true,
      value: {
        similar: [],
        unseen: expect.stringContaining(`Cannot look for a configuration file in ${systemFolder}`),
      },
    });
  });
});
