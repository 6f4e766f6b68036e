import { describe, expect, test } from "bun:test";
import { runCli } from "../../../src/cli/run-cli.ts";
import { formatUsage } from "../../../src/cli/usage-table.ts";
import { createFakeIo } from "../../support/fake-io.ts";

const counts = (bytes: number, requests: number) => ({ up: bytes, down: bytes, requests });

const report = {
  by: "user",
  since: "2026-11-28",
  day: "2026-11-28",
  month: "2026-11-01",
  kept: "the disk is full",
  usage: [
    {
      user: "ci",
      open: 3,
      rate: { up: 1_200_000, down: 0 },
      today: counts(500, 4),
      month: counts(2_000_000, 99),
      since: counts(500, 4),
      refused: { "perUser.bytes.day": 2 },
      quota: { day: { limit: 1000, used: 1000, left: 0 }, month: { limit: 1e9, used: 4e6, left: 996e6 } },
    },
    {
      user: "someone-with-a-name\u001b[31m-that-is-long",
      open: 0,
      rate: { up: 0, down: 0 },
      today: counts(0, 0),
      month: counts(1, 1),
      since: counts(0, 0),
      refused: {},
    },
  ],
  others: { number: 7, up: 10, down: 20, requests: 30 },
};

describe("the table of use", () => {
  test("has 80 columns, what is left of quotas, what was refused, and the sum of the others", () => {
    expect(formatUsage(report).split("\n")).toEqual([
      "USER                      OPEN      UP/S    DOWN/S     TODAY     MONTH REQUESTS",
      "ci                           3    1.2 MB       0 B    1.0 kB    4.0 MB        4",
      "    day: 0 B of 1.0 kB left, month: 996.0 MB of 1.0 GB left, 2 refused by perUs…",
      "someone-with-a-name\\u001b[31m-that-is-long",
      "                             0       0 B       0 B       0 B       2 B        0",
      "7 others                                                30 B                 30",
      "Warning: the use of users is not kept: the disk is full.",
      "",
    ]);
  });

  test("says from when on it sums up", () => {
    const lines = formatUsage({ ...report, since: "2026-11-20", usage: [], others: {} }).split("\n");
    expect(lines[0]).toBe("Since 2026-11-20:");
    expect(lines[1]).toContain("SINCE");
  });
});

describe("penstock usage", () => {
  test.each([
    [["--by", "name"], '--by is "name". Wanted is one of user, client, target, upstream.'],
    [["--top", "0"], '--top is "0". Wanted is a number from 1 to 10000.'],
    [["--json", "--csv"], "Found --json and --csv. Give one of them."],
    [[], "There is no configuration file in /nonexistent, so that no sidecar is known."],
    [["--sidecar", "9080"], "Missing the token of the sidecar. Set PENSTOCK_SIDECAR_TOKEN."],
  ])("refuses %j", async (args, message) => {
    const io = createFakeIo();
    expect(await runCli(["usage", ...args], io)).toBe(2);
    expect(io.told.join("\n")).toContain(message);
  });
});
