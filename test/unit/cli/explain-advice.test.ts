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
    expect(await runCli(["explain", target], io)).toBe(1);
    expect(io.printed()).toEndWith(`allow:   ${rule}\n`);
  });

  test.each([
    ["https://10.1.2.3/", "10.1.2.3:443"],
    ["HTTP://10.1.2.3?q=a@b", "10.1.2.3:80"],
    ["wss://[fd00::1]:8443/x#y", "[fd00::1]:8443"],
  ])("takes the target from the URL %s", async (url, target) => {
    const io = createFakeIo({ folder: import.meta.dir });
    expect(await runCli(["explain", url], io)).toBe(1);
    expect(io.printed()).toStartWith(`target:  ${target}\n`);
  });

  test.each([
    ["ssh://example.org", '"ssh://example.org" is a URL. Write "example.org:22".'],
    ["https://ann:hunter2@example.org/", 'A text is a URL. Write a host and a port, such as "example.org:443".'],
  ])("says what to write instead of the URL %s", async (url, told) => {
    const io = createFakeIo({ folder: import.meta.dir });
    expect(await runCli(["explain", url], io)).toBe(2);
    expect(io.told).toEqual([told]);
  });
});
