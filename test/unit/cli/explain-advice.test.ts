import { describe, expect, test } from "bun:test";

import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";

describe("penstock explain of an address that is refused", () => {
  test.each([
    ["10.1.2.3:443", '{ to: ["10.1.2.3:443"], allowPrivate: true } before the other rules'],
    ["[fd00::1]:22", '{ to: ["[fd00::1]:22"], allowPrivate: true } before the other rules'],
    [
      "169.254.169.254:80",
      '{ to: ["169.254.169.254:80"], allowPrivate: true } before the other rules, since it is a metadata address, which has to be named itself',
    ],
  ])("tells the rule that would allow %s", async (target, rule) => {
    const io = createFakeIo({ folder: import.meta.dir });
    expect(await runCli(["explain", target], io)).toBe(0);
    expect(io.printed()).toEndWith(`allow:   ${rule}\n`);
  });

  test("says what to write instead of a URL", async () => {
    const io = createFakeIo({ folder: import.meta.dir });
    expect(await runCli(["explain", "https://example.org/"], io)).toBe(2);
    expect(io.told).toEqual(['"https://example.org/" is a URL. Write "example.org:443".']);
  });
});
