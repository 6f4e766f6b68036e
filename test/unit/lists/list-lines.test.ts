import { describe, expect, test } from "bun:test";

import { type ListKind, readListLine, splitLines } from "../../../src/lists/list-lines.ts";

const read = (line: string, kind: ListKind = "targets") => readListLine(line, kind);

describe("a line of a list", () => {
  test("of more than 4096 characters cannot be used, unless it is a comment", () => {
    const long = "a".repeat(4097);
    for (const kind of ["targets", "server names", "addresses"] as const) {
      expect(read(long, kind)).toEqual({ reason: "has more than 4096 characters" });
      expect(read(long.slice(1), kind)).toEqual([long.slice(1)]);
      for (const sign of ["#", "!", ";"]) expect(read(sign + long, kind)).toEqual([]);
    }
  });

  test("costs no more with white space in it", () => {
    const line = `a.example${" ".repeat(4000)}b.example`;
    // Each line took the square of its length: all of them hours, and not a moment.
    for (let count = 0; count < 20_000; count++) expect(read(line)).toHaveProperty("reason");
  });

  test.each<[string, string, readonly string[]]>([
    ["nothing", "", []],
    ["spaces", " \t ", []],
    ["a comment", "# example.org", []],
    ["a comment of an ad blocker", "! example.org", []],
    ["a comment of a list of ranges", "; example.org", []],
    ["the title of a list for ad blockers", "[Adblock Plus 2.0]", []],
    ["a name", "example.org", ["example.org"]],
    ["a name between spaces", "  example.org\t\r", ["example.org"]],
    ["a name with a comment", "example.org # ours", ["example.org"]],
    ["a name with a comment after a tab", "example.org\t! ours", ["example.org"]],
    ["a range with a comment", "192.0.2.0/24 ; SBL1", ["192.0.2.0/24"]],
    ["a pattern with ports", "*.example.org:443,8443", ["*.example.org:443,8443"]],
    ["an address", "192.0.2.1", ["192.0.2.1"]],
    ["an IPv6 address in brackets", "[2001:db8::1]:443", ["[2001:db8::1]:443"]],
    ["a name of other letters", "bücher.example", ["bücher.example"]],
    ["what only looks like a name", "a..b", ["a..b"]],
    ["a rule of an ad blocker", "||ads.example^", ["ads.example", "*.ads.example"]],
    ["such a rule with a comment", "||ads.example^ # why", ["ads.example", "*.ads.example"]],
    ["such a rule for an address", "||192.0.2.1^", ["192.0.2.1"]],
    ["a line of a hosts file", "0.0.0.0 ads.example", ["ads.example"]],
    ["several names of a hosts file", "127.0.0.1\tads.example  b.example # x", ["ads.example", "b.example"]],
    ["an IPv6 line of a hosts file", ":: ads.example", ["ads.example"]],
    ["an address of a network in a hosts file", "192.0.2.7 intranet.example", ["intranet.example"]],
    ["the machine itself", "127.0.0.1 localhost localhost.localdomain", []],
    ["the machine itself with a zone", "fe80::1%lo0 localhost", []],
    ["the broadcast address", "255.255.255.255 broadcasthost", []],
    ["the address twice", "0.0.0.0 0.0.0.0", []],
  ])("can be %s", (_, line, entries) => {
    expect(read(line)).toEqual(entries);
    expect(read(line, "server names")).toEqual(entries);
  });

  test.each([
    ["example.org other.example", "has more than one entry. Write one a line"],
    ["*.example.org 127.0.0.1", "has more than one entry. Write one a line"],
    ["127.0.0.1 192.0.2.1", "is no line of a hosts file: after the address it has more than names"],
    ["0.0.0.0 *", "is no line of a hosts file: after the address it has more than names"],
    ["0.0.0.0 *.example.org", "is no line of a hosts file: after the address it has more than names"],
    ["0.0.0.0 example.org:443", "is no line of a hosts file: after the address it has more than names"],
    ["0.0.0.0 10.0.0.0/8", "is no line of a hosts file: after the address it has more than names"],
    ["@dev", "names another list. A list in a file has entries only"],
    ["@@||example.org^", "is an exception of an ad blocker. A list has none: put a rule before this one instead"],
    ...[
      "||example.org^$third-party",
      "||example.org/path^",
      "||example.org",
      "||*^",
      "||ads*.example^",
      "|https://example.org^",
      "example.org##.banner",
    ].map((line) => [
      line,
      'is a rule of an ad blocker that is not about a whole name. Write "||example.org^", or leave it out',
    ]),
  ])("cannot be %p", (line, reason) => {
    expect(read(line)).toEqual({ reason });
  });

  test("of client addresses has one of them, and is no line of a hosts file", () => {
    expect(read("10.0.0.0/8 # inside", "addresses")).toEqual(["10.0.0.0/8"]);
    expect(read("127.0.0.1 localhost", "addresses")).toEqual({ reason: "has more than one entry. Write one a line" });
  });

  test("of users is a whole name, and only # begins a comment", () => {
    for (const name of ["ann", "ann #2", "!root", ";x", "@ops", "||a^", "Ann Example"])
      expect(read(name, "users")).toEqual([name]);
    expect(read(" # ann", "users")).toEqual([]);
  });
});

test("splitLines() numbers the lines, whatever ends them and begins the text", () => {
  const split = (text: string) => [...splitLines(text)];
  expect(split("")).toEqual([]);
  expect(split("\u{FEFF}a\n\nb")).toEqual([
    [1, "a"],
    [2, ""],
    [3, "b"],
  ]);
  expect(split("a\r\nb\n").map(([at, line]) => [at, line.trim()])).toEqual([
    [1, "a"],
    [2, "b"],
  ]);
});
