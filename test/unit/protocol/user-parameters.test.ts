import { describe, expect, test } from "bun:test";
import { UserNames } from "../../../src/protocol/user-parameters.ts";

const names = new UserNames(["session", "country"]);

function read(text: string): unknown {
  const found = names.read(text);
  return found.ok ? [found.user, { ...found.parameters }] : found.note;
}

describe("UserNames", () => {
  test.each([
    ["alice", ["alice", {}]],
    ["alice-session-a1", ["alice", { session: "a1" }]],
    ["alice-session-a1-country-de", ["alice", { session: "a1", country: "de" }]],
    ["alice-country-de-session-a1", ["alice", { session: "a1", country: "de" }]],
    ["team-blue-country-de", ["team-blue", { country: "de" }]],
    ["alice-session-A.b_9", ["alice", { session: "A.b_9" }]],
    [`alice-session-${"x".repeat(64)}`, ["alice", { session: "x".repeat(64) }]],
    // A value may be the name of a parameter.
    ["alice-country-session", ["alice", { country: "session" }]],
  ])("reads %s", (text, found) => expect(read(text)).toEqual(found));

  test.each([
    "alice-session",
    "alice-Session-a1",
    "alice-city-berlin",
    "alice-session-a1-extra",
    "alice-session-550e8400-e29b-41d4-a716-446655440000",
    "session-a1",
    "-session-a1",
    "alice_session_a1",
    "alice-session=a1",
    "alice%2Dsession%2Da1",
    "alice-constructor-x",
    "-",
    "--",
    "",
  ])("takes %p for the name of a user", (text) => expect(read(text)).toEqual([text, {}]));

  test("stops at what is no parameter: users may be named like one", () => {
    expect(read("alice-session-country-de")).toEqual(["alice-session", { country: "de" }]);
    expect(read("alice-session-session-a1")).toEqual(["alice-session", { session: "a1" }]);
    expect(read("session-session-a1")).toEqual(["session", { session: "a1" }]);
    expect(read("alice-city-x-country-de")).toEqual(["alice-city-x", { country: "de" }]);
  });

  test.each([
    ["alice-session-", "the parameter session is empty"],
    ["alice-session--country-de", "the parameter session is empty"],
    ["alice-session-a1-session-a1", "the parameter session is there twice"],
    ["alice-session-a1-session-b2", "the parameter session is there twice"],
    [`alice-session-${"x".repeat(65)}`, "the parameter session has more than 64 characters"],
    ...[" ", "a b", "ä", "{user}", "[x]", "a=b", "a;b", "a%2Db", "a\u200bb", "a,b", "a@b"].map((value) => [
      `alice-session-${value}`,
      "the parameter session has other characters than letters, digits, dots and underscores",
    ]),
  ])("refuses %p without repeating it", (text = "", note) => expect(read(text)).toBe(note));

  test("gives parameters without prototype, that nobody can change", () => {
    const found = names.read("alice-session-a1");
    if (!found.ok || found.parameters === undefined) throw new Error("It has a parameter");
    expect(Object.getPrototypeOf(found.parameters)).toBeNull();
    expect(Object.isFrozen(found.parameters)).toBe(true);
    expect(found.parameters["toString"]).toBeUndefined();
  });

  test("gives one JSON for parameters in whichever order", () => {
    const texts = ["a-session-1-country-2", "a-country-2-session-1"].map((text) => {
      const found = names.read(text);
      return found.ok && JSON.stringify(found.parameters);
    });
    expect(texts).toEqual(['{"session":"1","country":"2"}', '{"session":"1","country":"2"}']);
  });
});
