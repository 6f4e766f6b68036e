import { describe, expect, test } from "bun:test";
import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

describe("penstock check --json", () => {
  test("gives programs everything as one object", async () => {
    await using folder = await makeFolder({ "proxy.config.json": '{"open":1,\n"users":{"ann:hunter2":"hunter3"}}' });
    const file = `${folder.path}/proxy.config.json`;
    const io = createFakeIo({ folder: folder.path, variables: { PENSTOCK_TIMEOUTS_IDLE: "x" } });
    expect(await runCli(["check", "--json"], io)).toBe(78);
    expect(io.told).toEqual([]);
    expect(io.printed()).not.toMatch(/hunter\d/);
    const { problems, ...report } = JSON.parse(io.printed()) as { problems: Record<string, string | number>[] };
    expect(report).toEqual({ valid: false, file, warnings: [] });
    expect(problems).toContainEqual({
      severity: "error",
      setting: "open",
      path: "open",
      message: "Found 1. Write true or false.",
      place: `${file}:1:2`,
      file,
      line: 1,
      column: 2,
    });
    expect(problems.find(({ origin }) => origin === "PENSTOCK_TIMEOUTS_IDLE")?.["path"]).toBe("timeouts.idle");
    expect(problems.some(({ path, place }) => String(path).startsWith("users") && place !== undefined)).toBe(true);

    await using other = await makeFolder();
    const valid = createFakeIo({ folder: other.path });
    expect(await runCli(["check", "--json"], valid)).toBe(0);
    expect(valid.told).toEqual([]);
    const warned: unknown = JSON.parse(valid.printed());
    expect(warned).toMatchObject({ valid: true, problems: [], effective: { default: "direct" } });
    expect(warned).not.toHaveProperty("file");
  });

  test("tells programs why nobody knows what a reload would change", async () => {
    await using folder = await makeFolder({ "proxy.config.json": { open: false } });
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["check", "--diff", "--json"], io)).toBe(1);
    expect(JSON.parse(io.printed())).toMatchObject({
      valid: true,
      error: '"sidecar" is not set. --diff asks the running proxy over its sidecar.',
    });
    await folder.write({ "proxy.config.json": { open: 1 } });
    const invalid = createFakeIo({ folder: folder.path });
    expect(await runCli(["check", "--diff", "--json"], invalid)).toBe(78);
    expect(JSON.parse(invalid.printed())).toMatchObject({ valid: false, problems: [{ path: "open" }] });
  });
});
