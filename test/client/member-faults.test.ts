import { describe, expect, test as plainTest } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { needs } from "../support/needs.ts";
import { runInNamespace } from "../support/run-in-namespace.ts";
import { type FaultRow, runner } from "../support/run-member-faults.ts";

const test = needs("unshare", "ip", "iptables", "squid", "tinyproxy", "danted", "microsocks", "htpasswd", "openssl");

/** Milliseconds for the whole run: stopped members and lost packets take the time of the dials that they cost. */
const RUN_MS = 300_000;

let running: Promise<readonly FaultRow[]> | undefined;

/** The whole run has a network of its own: packets of nobody else are lost. */
function runFaults(): Promise<readonly FaultRow[]> {
  return (running ??= runInNamespace<FaultRow[]>(runner, ["-n"]));
}

const page = readFileSync(join(import.meta.dir, "../../docs/upstreams.md"), "utf8");

/** The rows of the table in the documentation. */
function readTable(): FaultRow[] {
  const [, table = ""] = page.split("<!-- the rows are made by test/client/member-faults.test.ts -->");
  const rows = table.trimStart().split("\n\n", 1)[0]?.split("\n").slice(2) ?? [];
  return rows.map((row) => {
    const [member = "", fault = "", clients = "", health = "", after = ""] = row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    return { member, fault, clients, health, after };
  });
}

describe("a member of a pool with a fault, as docs/upstreams.md has it", () => {
  for (const row of readTable())
    test(
      `${row.member}: ${row.fault}`,
      async () => {
        const found = (await runFaults()).find(({ member, fault }) => member === row.member && fault === row.fault);
        expect(found).toEqual(row);
      },
      RUN_MS,
    );

  test(
    "is in the table, whatever was tried",
    async () => {
      const name = ({ member, fault }: FaultRow): string => `${member}: ${fault}`;
      expect((await runFaults()).map(name).sort()).toEqual(readTable().map(name).sort());
    },
    RUN_MS,
  );
});

plainTest("the table in docs/upstreams.md has every program", () => {
  const members = new Set(readTable().map(({ member }) => member));
  for (const name of ["Squid", "tinyproxy", "danted", "microsocks", "Penstock"]) expect(members).toContain(name);
});
