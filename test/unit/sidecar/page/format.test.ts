import { describe, expect, test } from "bun:test";
import {
  countOf,
  formatAge,
  formatMs,
  formatPerSecond,
  formatRate,
  show,
  splitRate,
} from "../../../../src/sidecar/page/ui/format.ts";
import { formatRoute, parseRoute } from "../../../../src/sidecar/page/ui/route.ts";

describe("what the page writes", () => {
  test.each([
    [formatAge(900), "0 s"],
    [formatAge(59_999), "59 s"],
    [formatAge(245_000), "4 m 05 s"],
    [formatAge(11_520_000), "3 h 12 m"],
    [formatAge(187_200_000), "2 d 4 h"],
    [formatMs(0.44), "0.4 ms"],
    [formatMs(12.4), "12 ms"],
    [formatMs(1234), "1.2 s"],
    [formatMs(null), "–"],
    [formatPerSecond(3.14), "3.1"],
    [formatPerSecond(1234.5), "1,235"],
    [formatRate(84_260_000), "84.3 MB/s"],
    [countOf(1, "tunnel"), "1 tunnel"],
    [countOf(1200, "tunnel"), "1,200 tunnels"],
    [show(undefined), "–"],
    [show(""), "–"],
  ])("%p", (written, wanted) => {
    expect(written).toBe(wanted);
  });

  test("a rate in two sizes", () => {
    expect(splitRate(9_480_000)).toEqual({ value: "9.5", unit: "MB/s" });
  });

  test("characters that turn text round or cannot be seen as escapes", () => {
    expect(show("evil\u202egpj.exe\u200b\u0000")).toBe("evil\\u202egpj.exe\\u200b\\u0000");
  });
});

describe("the fragment of the URL", () => {
  test.each([
    "#/",
    "#/users",
    "#/tunnels",
    "#/tunnels/k3v9q1-7?filter=user%3Aalice&sort=-down",
    "#/tunnels/%3Cimg%20src%3Dx%3E?filter=%26%23%3F%2F&sort=user",
  ])("%s is read and written again", (hash) => {
    expect(formatRoute(parseRoute(hash))).toBe(hash);
  });

  test.each(["", "#", "#/nowhere", "#//", "#/tunnels/%zz", "#/tunnels?sort=-nothing"])("%p leads somewhere", (hash) => {
    expect(["#/", "#/tunnels"]).toContain(formatRoute(parseRoute(hash)));
  });
});
