import { describe, expect, test } from "bun:test";
import { rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { startExecutable } from "../support/executable.ts";
import { makeFolder } from "../support/temporary-folder.ts";

/** A configuration that has the name of its rule from elsewhere. */
const config = (imported: string, more = ""): string =>
  `${imported}\nexport default { listen: ["127.0.0.1:0"], rules: [{ name, to: ["127.0.0.1"], deny: true }]${more} };\n`;
const name = (text: string): string => `export const name = "${text}";\n`;

describe("a configuration in TypeScript", () => {
  test("is read from where the links of a ConfigMap lead now, and so is what it imports", async () => {
    const version = (at: string) => ({
      [`${at}/proxy.config.ts`]: config('import { name } from "./name.ts";', ", watch: true"),
      [`${at}/name.ts`]: name(`in-${at}`),
    });
    await using folder = await makeFolder({ ...version("v1"), ...version("v2"), ...version("v3") });
    const at = (file: string): string => join(folder.path, file);
    await symlink("v1", at("..data"));
    await symlink("..data/proxy.config.ts", at("proxy.config.ts"));
    await using proxy = await startExecutable({ cwd: folder.path });
    for (const [before, now] of [
      ["v1", "v2"],
      ["v2", "v3"],
    ] as const) {
      await symlink(now, at("..data_new"));
      await rename(at("..data_new"), at("..data"));
      await rm(at(before), { recursive: true });
      await proxy.untilTold(`"in-${now}"`);
    }
  });

  test("follows a link that an import goes through", async () => {
    await using folder = await makeFolder({
      "proxy.config.ts": config('import { name } from "./lists/name.ts";'),
      "v1/name.ts": name("one"),
      "v2/name.ts": name("two"),
    });
    const at = (file: string): string => join(folder.path, file);
    await symlink("v1", at("lists"));
    await using proxy = await startExecutable({ cwd: folder.path });
    await symlink("v2", at("lists_new"));
    await rename(at("lists_new"), at("lists"));
    proxy.signal("SIGHUP");
    await proxy.untilTold('"two"');
  });

  test("is read afresh after an import that could not be linked", async () => {
    await using folder = await makeFolder({
      "proxy.config.ts": config('import { name } from "./name.ts";'),
      "name.ts": name("one"),
    });
    await using proxy = await startExecutable({ cwd: folder.path });
    await folder.write({ "name.ts": "export const other = 1;\n" });
    proxy.signal("SIGHUP");
    const told = await proxy.untilTold("not found in module");
    expect(told.trim()).toBe(
      `${folder.path}/proxy.config.ts: Export named 'name' not found in module '${folder.path}/name.ts'.`,
    );
    await folder.write({ "name.ts": name("two") });
    proxy.signal("SIGHUP");
    await proxy.untilTold('"two"');
  });

  test("is read afresh after one that waited for ever", async () => {
    const wait = 'process.stderr.write("It waits now.\\n");\nawait new Promise(() => {});\n';
    await using folder = await makeFolder({
      "proxy.config.ts": config('import { name } from "./name.ts";'),
      "name.ts": name("one"),
    });
    await using proxy = await startExecutable({ cwd: folder.path });
    await folder.write({ "name.ts": wait + name("late") });
    proxy.signal("SIGHUP");
    await proxy.untilTold("It waits now.");
    await folder.write({ "name.ts": name("two") });
    // It waits for the end of the first reload, which has ten seconds.
    proxy.signal("SIGHUP");
    await proxy.untilTold("The file was not done after 10 s");
    await proxy.untilTold('"two"');
  }, 300_000);

  test("is read again with watch once a module is there that was missing", async () => {
    await using folder = await makeFolder({
      "proxy.config.ts": config(name("one"), ", watch: true"),
    });
    await using proxy = await startExecutable({ cwd: folder.path });
    await folder.write({ "proxy.config.ts": config('import { name } from "./name.ts";', ", watch: true") });
    await proxy.untilTold("Cannot find module './name.ts'");
    await folder.write({ "name.ts": name("two") });
    await proxy.untilTold('"two"');
  });
});
