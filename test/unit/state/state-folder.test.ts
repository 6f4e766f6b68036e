import { describe, expect, test } from "bun:test";
import { chmod, chown, mkdir, stat } from "node:fs/promises";
import { compileState } from "../../../src/config/state.ts";
import { prepareStateFolder } from "../../../src/state/state-folder.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const setting = "state.folder";
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

describe("the folder for state", () => {
  test("is made for the user of the proxy alone, with the folders above it", async () => {
    await using home = await makeFolder();
    const path = `${home.path}/a/b`;
    expect(prepareStateFolder({ path, setting })).toBeUndefined();
    expect([await modeOf(path), await modeOf(`${home.path}/a`)]).toEqual([0o700, 0o700]);
    expect(prepareStateFolder({ path, setting })).toBeUndefined();
  });

  test("is refused when others may use it, with the command that helps", async () => {
    await using home = await makeFolder();
    const path = `${home.path}/open`;
    await mkdir(path);
    await chmod(path, 0o755);
    expect(prepareStateFolder({ path, setting })).toBe(
      `Cannot use the folder "${path}" of "state.folder": others may use it (mode 0755). Run "chmod 700 ${path}", or set "state.folder" to another.`,
    );
    // The same from systemd belongs to this service alone.
    expect(prepareStateFolder({ path, setting: "STATE_DIRECTORY" })).toBeUndefined();
    expect(await modeOf(path)).toBe(0o700);
  });

  test("is refused when it belongs to somebody else", async () => {
    await using home = await makeFolder({});
    const user = process.geteuid?.();
    const [path, owner] = user === 0 ? [`${home.path}/theirs`, 65534] : ["/", 0];
    if (user === 0) {
      await mkdir(path, { mode: 0o700 });
      await chown(path, owner, owner);
    }
    for (const named of [setting, "STATE_DIRECTORY"] as const)
      expect(prepareStateFolder({ path, setting: named })).toContain(
        `it belongs to user ${owner}, and the proxy runs as user ${user}.`,
      );
  });

  test("is refused when it is a file, or cannot be made", async () => {
    await using home = await makeFolder({ file: "text" });
    expect(prepareStateFolder({ path: `${home.path}/file`, setting })).toContain(": it is a file.");
    expect(prepareStateFolder({ path: `${home.path}/file/inside`, setting })).toContain(
      ": part of the path is a file.",
    );
    // Nobody makes folders there.
    expect(prepareStateFolder({ path: "/proc/penstock", setting })).toStartWith(
      'Cannot make the folder "/proc/penstock"',
    );
  });

  test("is what its own permissions make it on Windows, which has no modes", async () => {
    await using home = await makeFolder({ file: "text" });
    const path = `${home.path}/open`;
    await mkdir(path);
    await chmod(path, 0o755);
    for (const named of [setting, "STATE_DIRECTORY"] as const)
      expect(prepareStateFolder({ path, setting: named }, "win32")).toBeUndefined();
    expect(await modeOf(path)).toBe(0o755);
    expect(prepareStateFolder({ path: `${home.path}/file`, setting }, "win32")).toContain(": it is a file.");
  });

  test("comes from the setting, relative to the configuration file, else from systemd, else there is none", () => {
    const variables = { STATE_DIRECTORY: "/var/lib/penstock:/var/lib/other" };
    const materials = { folder: "/etc/penstock", variables };
    expect(compileState({ folder: "state" }, materials)).toEqual({ path: "/etc/penstock/state", setting });
    expect(compileState({}, materials)).toEqual({ path: "/var/lib/penstock", setting: "STATE_DIRECTORY" });
    expect(compileState({}, { folder: "/etc", variables: {} })).toBeUndefined();
  });
});
