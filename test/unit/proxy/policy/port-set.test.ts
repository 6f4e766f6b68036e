import { describe, expect, test } from "bun:test";
import { PortSet, PortSetTable } from "../../../../src/proxy/policy/port-set.ts";

describe("PortSet", () => {
  test("has every port when it has no ranges", () => {
    const set = new PortSet([]);
    expect(set.full).toBe(true);
    for (const port of [1, 443, 65_535]) expect(set.has(port)).toBe(true);
  });

  test("has the first and the last port of each range, and none beside them", () => {
    const set = new PortSet([
      [8000, 8999],
      [80, 80],
      [443, 443],
    ]);
    for (const port of [80, 443, 8000, 8500, 8999]) expect(set.has(port)).toBe(true);
    for (const port of [1, 79, 81, 442, 444, 7999, 9000, 65_535]) expect(set.has(port)).toBe(false);
  });

  test("joins ranges that overlap or touch", () => {
    const set = new PortSet([
      [1, 10],
      [5, 7],
      [11, 20],
      [22, 30],
    ]);
    expect(set.ranges()).toEqual([
      [1, 20],
      [22, 30],
    ]);
    expect(set.has(21)).toBe(false);
  });
});

describe("PortSetTable", () => {
  test("gives the same set for the same ports, however they are written", () => {
    const table = new PortSetTable();
    const set = table.find([[1, 3]]);
    const other = table.find([
      [3, 3],
      [1, 2],
    ]);
    expect(other).toBe(set);
    expect(table.find([[1, 4]])).not.toBe(set);
    expect(table.unite([table.find([[1, 1]]), table.find([[2, 3]])])).toBe(set);
  });

  test("unites with every port to every port, and nothing to nothing", () => {
    const table = new PortSetTable();
    expect(table.unite([table.find([[1, 1]]), table.find([])])?.full).toBe(true);
    expect(table.unite([])).toBeUndefined();
  });
});
