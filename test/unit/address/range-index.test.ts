import { describe, expect, test } from "bun:test";
import { parseCidr } from "../../../src/address/cidr.ts";
import { type RangeIndex, RangeIndexBuilder } from "../../../src/address/range-index.ts";
import { makeIp } from "../../support/make-policy.ts";

/** An index of ranges with values; equal ranges have the digits of their values joined. */
function buildIndex(...ranges: readonly (readonly [range: string, value: number])[]): RangeIndex {
  const builder = new RangeIndexBuilder();
  for (const [text, value] of ranges) {
    const parsed = parseCidr(text);
    if (!parsed.ok) throw new Error(parsed.reason);
    builder.add(parsed.cidr, value);
  }
  return builder.build((known = 0, value) => known * 10 + value);
}

/** The values of all ranges around an address, the narrowest first. */
function valuesAround(index: RangeIndex, address: string): number[] {
  const values: number[] = [];
  for (let node = index.find(makeIp(address)); node !== undefined; node = node.wider) values.push(node.value);
  return values;
}

describe("RangeIndex", () => {
  test("finds nothing when it is empty", () => {
    expect(buildIndex().find(makeIp("0.0.0.0"))).toBeUndefined();
    expect(buildIndex().find(makeIp("::"))).toBeUndefined();
  });

  test("finds every range around an address, the narrowest first, in whatever order they were added", () => {
    const ranges = [
      ["10.1.0.0/16", 2],
      ["0.0.0.0/0", 4],
      ["10.1.2.3", 1],
      ["10.0.0.0/8", 3],
    ] as const;
    for (const index of [buildIndex(...ranges), buildIndex(...ranges.toReversed())]) {
      expect(valuesAround(index, "10.1.2.3")).toEqual([1, 2, 3, 4]);
      expect(valuesAround(index, "10.1.2.4")).toEqual([2, 3, 4]);
      expect(valuesAround(index, "10.1.2.2")).toEqual([2, 3, 4]);
      expect(valuesAround(index, "10.2.0.0")).toEqual([3, 4]);
      expect(valuesAround(index, "9.255.255.255")).toEqual([4]);
      expect(valuesAround(index, "255.255.255.255")).toEqual([4]);
      expect(valuesAround(index, "::a01:203")).toEqual([]);
    }
  });

  test("finds ranges at both ends of an address space, and across its words", () => {
    const index = buildIndex(["255.255.255.255", 1], ["0.0.0.0/1", 2], ["ffff::/16", 3], ["2001:db8::ffff:ffff", 4]);
    expect(valuesAround(index, "255.255.255.255")).toEqual([1]);
    expect(valuesAround(index, "255.255.255.254")).toEqual([]);
    expect(valuesAround(index, "127.255.255.255")).toEqual([2]);
    expect(valuesAround(index, "128.0.0.0")).toEqual([]);
    expect(valuesAround(index, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")).toEqual([3]);
    expect(valuesAround(index, "2001:db8::ffff:ffff")).toEqual([4]);
    expect(valuesAround(index, "2001:db8::1:0:0")).toEqual([]);
  });

  test("joins the values of equal ranges in the order in which they were added", () => {
    const index = buildIndex(["10.0.0.0/8", 1], ["192.0.2.1", 9], ["10.0.0.0/8", 2]);
    expect(valuesAround(index, "10.0.0.1")).toEqual([12]);
    expect(new Set(index.values())).toEqual(new Set([12, 9]));
  });

  test("lists the value of a range whose addresses are all in narrower ones", () => {
    const index = buildIndex(["0.0.0.0/0", 1], ["0.0.0.0/1", 2], ["128.0.0.0/1", 3]);
    expect(new Set(index.values())).toEqual(new Set([1, 2, 3]));
    expect(valuesAround(index, "128.0.0.1")).toEqual([3, 1]);
  });

  test("knows how long the prefix of the narrowest range is", () => {
    const index = buildIndex(["10.0.0.0/31", 1], ["10.0.0.1", 1], ["2001:db8::/127", 1], ["2001:db8::1", 1]);
    for (const [address, prefix] of [
      ["10.0.0.0", 31],
      ["10.0.0.1", 32],
      ["2001:db8::", 127],
      ["2001:db8::1", 128],
    ] as const)
      expect(index.find(makeIp(address))?.prefix).toBe(prefix);
  });
});
