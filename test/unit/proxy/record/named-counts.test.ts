import { describe, expect, test } from "bun:test";
import { NamedCounts } from "../../../../src/proxy/record/named-counts.ts";

describe("NamedCounts", () => {
  test("counts names apart, a bounded number of them, and the rest as other", () => {
    const counts = new NamedCounts([]);
    for (let at = 0; at < 5000; at += 1) counts.get(`rule ${at % 1000}`).requests += 1;
    const all = [...counts];
    expect(all).toHaveLength(101);
    expect(all.slice(0, 100).every(({ requests }) => requests === 5)).toBe(true);
    expect(counts.get("rule 999").name).toBe("other");
    expect(counts.get("other").requests).toBe(4500);
  });

  test("counts failures by word, with the last example", () => {
    const counts = new NamedCounts([]);
    const count = counts.get("a");
    count.fail({ detail: "connection_refused" }, { id: "x-1" }, 0);
    count.fail({ detail: "connection_refused" }, { id: "x-2" }, 1);
    count.fail({ detail: "connection_refused" }, { id: "x-3" }, 5000);
    expect([...count.failures]).toEqual([
      ["connection_refused", { count: 3, exemplar: { id: "x-3", traceId: undefined, value: 1, at: 5000 } }],
    ]);
  });
});
