import { describe, expect, test } from "bun:test";
import { LiveModel, type Row } from "../../../../src/sidecar/page/ui/live-model.ts";
import {
  arrange,
  COLUMN_KEYS,
  filterForUser,
  firstOrder,
  isForUser,
} from "../../../../src/sidecar/page/ui/table-order.ts";
import type { TunnelRow } from "../../../../src/sidecar/page/ui/wire.ts";
import { sampleRow, sampleRows } from "../../../support/page-samples.ts";

function makeRows(facts: readonly Partial<TunnelRow>[]): Row[] {
  const rows = facts.map((changes, at) => ({ ...sampleRow(at + 1), id: `row-${at}`, ...changes }));
  const model = new LiveModel();
  model.begin({ v: 1, step: 1, point: null, total: rows.length, rows }, 0);
  return [...model.rows.values()];
}

const ids = (rows: readonly Row[]): string[] => rows.map(({ id }) => id);
const byAge = firstOrder("age");

describe("the order of the table", () => {
  test("puts what is unknown last, upward and downward", () => {
    const rows = makeRows([{ user: undefined }, { user: "bob" }, { user: "alice" }]);
    expect(ids(arrange(rows, "", { by: "user", descending: false }))).toEqual(["row-2", "row-1", "row-0"]);
    expect(ids(arrange(rows, "", { by: "user", descending: true }))).toEqual(["row-1", "row-2", "row-0"]);
  });

  test("begins with the most, or with the first name", () => {
    const rows = makeRows([
      { bytes_down: 5, age_ms: 10, target: "b:1" },
      { bytes_down: 7, age_ms: 30, target: "a:1" },
    ]);
    for (const by of ["down", "age", "target"] as const)
      expect(ids(arrange(rows, "", firstOrder(by)))).toEqual(["row-1", "row-0"]);
  });

  test("keeps every row, whatever the column", () => {
    const rows = makeRows(sampleRows(200));
    for (const by of COLUMN_KEYS) expect(new Set(arrange(rows, "", firstOrder(by))).size).toBe(200);
  });
});

describe("the filter of the table", () => {
  const rows = makeRows([
    { user: "alice", target: "api.example:443", client: "192.0.2.7:1" },
    { user: "alicia", target: "www.example:443", client: "192.0.2.8:1" },
    { user: "al ice", target: "alice.example:80", kind: "request", client: "192.0.2.9:1" },
  ]);

  test.each([
    ["", [0, 1, 2]],
    ["ALICE", [0, 2]],
    ["user:alice", [0]],
    ["user:ali*", [0, 1]],
    ["user:ali* www", [1]],
    ['user:"al ice"', [2]],
    ["kind:request", [2]],
    ["client:192.0.2.8:1", [1]],
    ["sni:", []],
    ["nobody", []],
    // No field: it may be anywhere.
    ["api.example:443", [0]],
  ])("%p finds rows %p", (filter, wanted) => {
    expect(ids(arrange(rows, filter, byAge)).sort()).toEqual(wanted.map((at) => `row-${at}`));
  });

  test.each(["alice", "al ice", "a:b", "ünï", "*"])("of user %p finds that user", (user) => {
    expect(ids(arrange(makeRows([{ user }, { user: "other" }]), filterForUser(user), byAge))).toContain("row-0");
  });

  test.each([
    ["user:alice", true],
    ['user:"al ice"', true],
    ["user:ali*", false],
    ["user:alice www", false],
    ["alice", false],
    ["", false],
  ])("%p is about one user alone: %p", (filter, wanted) => {
    expect(isForUser(filter)).toBe(wanted);
  });
});
