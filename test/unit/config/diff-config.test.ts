import { describe, expect, test } from "bun:test";
import { diffConfigs } from "../../../src/config/diff-config.ts";

describe("diffConfigs()", () => {
  test("says nothing of equal configurations", () => {
    expect(diffConfigs({ listen: [8080], rules: [{ to: ["a"] }] }, { rules: [{ to: ["a"] }], listen: [8080] })).toEqual(
      [],
    );
  });

  test("names a setting with its value before and after", () => {
    expect(diffConfigs({ timeouts: { idle: "10m" } }, { timeouts: { idle: "5m" } })).toEqual([
      'timeouts.idle: "10m" → "5m"',
    ]);
  });

  test("names a setting that came, and one that went", () => {
    expect(diffConfigs({ clients: ["192.0.2.0/24"] }, { upstream: "http://a:1" })).toEqual([
      'clients: -["192.0.2.0/24"]',
      'upstream: +"http://a:1"',
    ]);
  });

  test("names what came into a list and what left it", () => {
    const rules = (to: string[]) => ({ rules: [{ to: ["x"] }, { to }] });
    expect(diffConfigs(rules(["a", "b"]), rules(["a", "*.example.org"]))).toEqual([
      'rules[1].to: +"*.example.org", -"b"',
    ]);
  });

  test("sees that the same values have another order", () => {
    expect(diffConfigs({ schemes: ["basic", "digest"] }, { schemes: ["digest", "basic"] })).toEqual([
      "schemes: other order",
    ]);
  });

  test("compares maps of the same name, wherever they are", () => {
    const a = { name: "a", allow: true };
    const b = { name: "b", allow: true };
    expect(diffConfigs({ rules: [a, b] }, { rules: [{ name: "new", deny: true }, a, { ...b, allow: false }] })).toEqual(
      ['rules[0]: +{"name":"new","deny":true}', "rules[2].allow: true → false"],
    );
    expect(diffConfigs({ rules: [a, b] }, { rules: [b, a] })).toEqual(["rules: other order"]);
  });

  test("compares maps without names by their position between equal ones", () => {
    const [a, b, c] = [{ to: ["a"] }, { to: ["b"] }, { to: ["c"] }];
    expect(diffConfigs({ rules: [a, c] }, { rules: [a, b, c] })).toEqual(['rules[1]: +{"to":["b"]}']);
    expect(diffConfigs({ rules: [a, b, c] }, { rules: [a, c] })).toEqual(['rules[1]: -{"to":["b"]}']);
  });

  test("bounds what it shows of a long list and of a long value", () => {
    const names = Array.from({ length: 100_000 }, (_, at) => `n${at}`);
    expect(diffConfigs({ to: [] }, { to: names })[0]).toEndWith('+"n9" and 99990 more');
    expect(diffConfigs({ a: "x" }, { a: "y".repeat(1000) })[0]?.length).toBeLessThan(150);
  });
});
