import { describe, expect, test } from "bun:test";
import { ConnectionTable, type Served, type ServedState } from "../../../../src/net/http/connection-table.ts";
import type { DescriptorRoom } from "../../../../src/net/conn/descriptors.ts";
import { waitFor } from "../../../support/wait-for.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A table, and a way to have connections come that are known by name. */
function makeTable(total: number, perPeer: number, graceMs = 0) {
  let now = 0;
  const table = new ConnectionTable({ total, perPeer, graceMs, burst: 2, whenScarce: 3 }, () => now);
  const evicted: string[] = [];
  const come = (name: string, peer: string, state: ServedState = "waiting", room: DescriptorRoom = "enough") => {
    const member: Served = { peer, state, evict: () => void evicted.push(name) };
    return { member, admitted: table.admit(member, room) };
  };
  return { table, evicted, come, pass: (ms: number) => (now += ms) };
}

describe("ConnectionTable", () => {
  test("takes connections until there are as many as there may be", () => {
    const { table, evicted, come } = makeTable(3, 2);
    for (const [name, peer] of ["a1", "a2", "b1"].map((each) => [each, each.charAt(0)] as const))
      expect(come(name, peer).admitted).toBe(true);
    expect(evicted).toEqual([]);
    expect([table.open, table.accepted, table.evicted]).toEqual([3, 3, 0]);
  });

  test("closes the oldest that waits of a peer that has its share, and nobody else's", () => {
    const { table, evicted, come } = makeTable(10, 2);
    come("b1", "b");
    for (const name of ["a1", "a2", "a3", "a4"]) expect(come(name, "a").admitted).toBe(true);
    expect(evicted).toEqual(["a1", "a2"]);
    expect(table.open).toBe(3);
  });

  test("takes room for a newcomer from who has the most when all is full", () => {
    const { evicted, come } = makeTable(4, 3);
    come("b1", "b");
    for (const name of ["a1", "a2", "a3"]) come(name, "a");
    expect(come("c1", "c").admitted).toBe(true);
    expect(evicted).toEqual(["a1"]);
  });

  test("closes who waits before who is answered, however old", () => {
    const { evicted, come } = makeTable(2, 2);
    come("old", "a", "answering");
    come("new", "a");
    come("next", "a");
    expect(evicted).toEqual(["new"]);
  });

  test("closes even who is answered, so that no slow reader keeps others out", () => {
    const { evicted, come } = makeTable(1, 1);
    come("slow", "a", "answering");
    expect(come("next", "a").admitted).toBe(true);
    expect(evicted).toEqual(["slow"]);
  });

  test("refuses when all that is there is streaming, and counts that", () => {
    const { table, evicted, come } = makeTable(2, 2);
    come("one", "a", "streaming");
    come("other", "b", "streaming");
    expect(come("next", "c").admitted).toBe(false);
    expect(evicted).toEqual([]);
    expect([table.open, table.accepted, table.evicted]).toEqual([2, 3, 1]);
  });

  test("refuses a newcomer where every request may change something, and never cuts one of these", () => {
    const { table, evicted, come } = makeTable(2, 2);
    come("one", "a", "acting");
    const other: Mutable<Served> = come("other", "a", "acting").member;
    expect(come("next", "a").admitted).toBe(false);
    expect([table.open, table.accepted, table.evicted]).toEqual([2, 3, 1]);
    other.state = "answering";
    expect(come("last", "a").admitted).toBe(true);
    expect(evicted).toEqual(["other"]);
  });

  test("goes back to its bounds when requests that were too many have acted", async () => {
    const { table, evicted, come, pass } = makeTable(10, 2, 5);
    const names = ["a1", "a2", "a3", "a4"];
    const members: Mutable<Served>[] = names.map((name) => come(name, "a").member);
    for (const member of members) member.state = "acting";
    pass(5);
    await Bun.sleep(20);
    expect(evicted).toEqual([]);
    for (const member of members) member.state = "waiting";
    await waitFor(() => table.open === 2, "the bound");
    expect(evicted).toEqual(["a1", "a2"]);
  });

  test("leaves those alone that have just come, and closes those that are too many when they still wait after that", async () => {
    const { table, evicted, come, pass } = makeTable(10, 2, 5);
    for (const name of ["a1", "a2"]) come(name, "a");
    const asks: Mutable<Served> = come("a3", "a").member;
    come("a4", "a");
    expect(evicted).toEqual([]);
    asks.state = "answering";
    pass(5);
    await waitFor(() => evicted.length === 2, "the end of two");
    expect(evicted).toEqual(["a1", "a2"]);
    expect(table.open).toBe(2);
  });

  test("has bounds also for those that have just come", () => {
    const { table, evicted, come } = makeTable(10, 2, 60_000);
    for (const name of ["a1", "a2", "a3", "a4", "a5", "a6"]) expect(come(name, "a").admitted).toBe(true);
    expect(evicted).toEqual(["a1", "a2"]);
    for (const peer of "bcdefghi") for (const count of [1, 2]) come(`${peer}${count}`, peer);
    expect(table.open).toBe(20);
    expect(come("j1", "j").admitted).toBe(true);
    expect(evicted).toEqual(["a1", "a2", "a3"]);
  });

  test("takes one for one while there are few descriptors, from who has the most", () => {
    const { table, evicted, come } = makeTable(10, 5, 60_000);
    for (const name of ["b1", "a1", "a2"]) expect(come(name, name.charAt(0), "waiting", "few").admitted).toBe(true);
    expect(evicted).toEqual([]);
    for (const name of ["c1", "d1"]) expect(come(name, name.charAt(0), "waiting", "few").admitted).toBe(true);
    expect(evicted).toEqual(["a1", "b1"]);
    expect(table.open).toBe(3);
  });

  test("takes no more of the last descriptors when low ones become free in between", () => {
    const { table, evicted, come } = makeTable(20, 20, 60_000);
    for (let count = 0; count < 10; count += 1) {
      come(`low${count}`, "a");
      come(`high${count}`, "a", "waiting", "operators");
    }
    expect(evicted).toEqual(["high0", "high1", "high2", "high3", "high4", "high5", "high6"]);
    expect(table.open).toBe(13);
  });

  test("gives one of the very last descriptors only in exchange for another one of the last", () => {
    const { evicted, come } = makeTable(20, 20, 60_000);
    come("low", "a");
    expect(come("none to give", "b", "waiting", "last").admitted).toBe(false);
    come("high", "a", "waiting", "operators");
    expect(come("exchanged", "b", "waiting", "last").admitted).toBe(true);
    expect(evicted).toEqual(["high"]);
  });

  test("has room again when one has left", () => {
    const { table, evicted, come } = makeTable(1, 1);
    const { member } = come("a", "a");
    table.leave(member);
    expect(come("b", "b").admitted).toBe(true);
    expect(evicted).toEqual([]);
    expect(table.list()).toHaveLength(1);
  });
});
