import { describe, expect, test } from "bun:test";
import { parseHosts } from "../../../../src/net/dns/hosts-file.ts";

function read(text: string): Record<string, string> {
  return Object.fromEntries(
    [...parseHosts(text)].map(([name, { canonical, addresses }]) => [
      name,
      `${canonical}: ${addresses.map((ip) => ip.text).join(" ")}`,
    ]),
  );
}

describe("parseHosts()", () => {
  test("reads the names of an address, the first one as the official one", () => {
    expect(read("127.0.0.1 localhost\n192.0.2.7\tdb.corp.example  db # the database\n")).toEqual({
      localhost: "localhost: 127.0.0.1",
      "db.corp.example": "db.corp.example: 192.0.2.7",
      db: "db.corp.example: 192.0.2.7",
    });
  });

  test("gives a name the addresses of all its lines, and no line's names to another one", () => {
    expect(read("192.0.2.1 app\n192.0.2.1 other\n192.0.2.2 other app2\n2001:db8::2 other\n192.0.2.2 other\n")).toEqual({
      app: "app: 192.0.2.1",
      other: "other: 192.0.2.1 192.0.2.2 2001:db8::2",
      app2: "other: 192.0.2.2",
    });
  });

  test("reads names in lower case and without a dot at the end", () => {
    expect(read("192.0.2.7 WWW.Example.Test.\n")).toEqual({ "www.example.test": "www.example.test: 192.0.2.7" });
  });

  test("passes over what it cannot read", () => {
    expect(read("# 192.0.2.1 a\n1.2.3 b\nfe80::1%eth0 c\n192.0.2.1\n\n010.0.0.1 d\n\u0000\n192.0.2.9 e\r\n")).toEqual({
      e: "e: 192.0.2.9",
    });
  });

  test("keeps names that objects have for names", () => {
    expect(read("192.0.2.1 __proto__ constructor\n")).toHaveProperty("constructor", "__proto__: 192.0.2.1");
  });

  test("keeps 64 addresses of a name", () => {
    const text = Array.from({ length: 100 }, (_, at) => `192.0.2.${at} a`).join("\n");
    expect(parseHosts(text).get("a")?.addresses).toHaveLength(64);
  });
});

test("parseHosts() keeps an address once that many lines have", () => {
  const hosts = parseHosts("0.0.0.0 ads.example\n0.0.0.0 tracker.example\n");
  const [ads, tracker] = ["ads.example", "tracker.example"].map((name) => hosts.get(name)?.addresses[0]);
  expect(ads?.text).toBe("0.0.0.0");
  expect(tracker).toBe(ads);
});
