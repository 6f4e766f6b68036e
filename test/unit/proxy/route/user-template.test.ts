import { describe, expect, test } from "bun:test";
import { parseUserTemplate } from "../../../../src/config/user-template.ts";
import type { NamedRequester, UserTemplate } from "../../../../src/proxy/route/user-template.ts";

function makeTemplate(text: string): UserTemplate {
  const parsed = parseUserTemplate(text);
  if (!parsed.ok || typeof parsed.value === "string") throw new Error(`${text} is no template`);
  return parsed.value;
}

function write(template: string, user: string | undefined, parameters: Record<string, string> = {}) {
  const result = makeTemplate(template).resolve({ user, parameters });
  return result.ok ? result.user : { missing: result.missing };
}

describe("UserTemplate", () => {
  test("puts user and parameters in their places", () => {
    const template = "customer-{user}-session-{session}";
    expect(write(template, "alice", { session: "a1" })).toBe("customer-alice-session-a1");
    expect(write(template, "alice")).toEqual({ missing: "session" });
    expect(write(template, undefined, { session: "a1" })).toEqual({ missing: "user" });
  });

  test("leaves out a part in brackets when one of its values is not there", () => {
    const template = "u-{user}[-cc-{country}][-sid-{session}-t-{time}]";
    expect(write(template, "alice", { country: "de", session: "a1", time: "5" })).toBe("u-alice-cc-de-sid-a1-t-5");
    expect(write(template, "alice", { session: "a1" })).toBe("u-alice");
    expect(write(template, "alice", { country: "de" })).toBe("u-alice-cc-de");
    expect(write("c[-u-{user}]", undefined)).toBe("c");
  });

  test.each([
    ["c-{user}-s", "team-blue", "c-team%2Dblue-s"],
    ["c-{user}", "a.b_c~d@e+f", "c-a.b_c~d@e+f"],
    ["c_{user}", "team-blue_1", "c_team-blue%5F1"],
    ["{user}", "team-blue@example.org", "team-blue@example.org"],
    ["c-{user}", "x{session}[y]", "c-x%7Bsession%7D%5By%5D"],
    ["c-{user}", "50%2D", "c-50%252D"],
    ["c-{user}", "a b:c;d=e,f/g\\h\"i'j", "c-a%20b%3Ac%3Bd%3De%2Cf%2Fg%5Ch%22i%27j"],
    ["c-{user}", "jörg", "c-j%C3%B6rg"],
    ["c-{user}", "🐑", "c-%F0%9F%90%91"],
    ["c-{user}", "$&$1", "c-%24%26%241"],
    ["c-{user}", "a\r\nb\0", "c-a%0D%0Ab%00"],
  ])("%p with the user %p is %p", (template, user, written) => expect(write(template, user)).toBe(written));

  test("escapes the signs of the whole template, parts in brackets included", () => {
    expect(write("{user}[;s.{session}]", "a.b-c", { session: "x.y_z" })).toBe("a%2Eb-c;s.x%2Ey_z");
    expect(write("{user}[;s.{session}]", "a.b-c")).toBe("a%2Eb-c");
  });

  test("looks for no placeholder in what it has put in", () => {
    const parameters = { session: "user" };
    expect(write("{session}-{user}", "session", parameters)).toBe("user-session");
  });

  test("identifies requests by their values, not by what is written", () => {
    const template = makeTemplate("{user}[-x-{a}][-x-{b}]");
    const both: NamedRequester[] = [
      { user: "u", parameters: { a: "1" } },
      { user: "u", parameters: { b: "1" } },
    ];
    expect(new Set(both.map((each) => JSON.stringify(template.resolve(each)))).size).toBe(1);
    expect(new Set(both.map((each) => template.identify(each))).size).toBe(2);
    expect(template.identify({ user: "a b>c, d", parameters: { a: "null" } })).not.toMatch(/[\s>]/);
    expect(template.identify({ user: "u" })).not.toBe(template.identify({ user: "u", parameters: { a: "null" } }));
  });

  test("leaves out parameters that it does not use", () => {
    const template = makeTemplate("c-{user}");
    expect(template.identify({ user: "u", parameters: { a: "1" } })).toBe(template.identify({ user: "u" }));
  });
});

describe("parseUserTemplate()", () => {
  test.each([
    ["customer-x", "customer-x"],
    ["a{{b}}c", "a{b}c"],
    ["a[[b]]c", "a[b]c"],
    ["{{{{", "{{"],
  ])("takes %p for the text %p", (text, meant) => expect(parseUserTemplate(text)).toEqual({ ok: true, value: meant }));

  test("takes doubled signs beside placeholders", () => {
    expect(write("{{{user}}}", "a")).toBe("{a}");
    expect(write("[[{user}]][[[-{session}]]]", "a", { session: "1" })).toBe("[a][-1]");
  });

  test.each([
    ["{", "a brace that belongs to no placeholder"],
    ["a}", "a brace that belongs to no placeholder"],
    ["{}", "a brace that belongs to no placeholder"],
    ["{Session}", "a brace that belongs to no placeholder"],
    ["{a b}", "a brace that belongs to no placeholder"],
    ["[x]", "brackets without a placeholder"],
    ["[]", "brackets without a placeholder"],
    ["[{a}", 'a "[" without a "]"'],
    ["{a}]", 'a "]" without a "["'],
    ["[-{a}[-{b}]]", 'a "[" within brackets'],
    ["{user}{session}", "nothing between {user} and what follows"],
    ["{user}x{session}", "nothing between {user} and what follows"],
    ["{user}[{session}]", "nothing between {user} and what follows"],
    ["{user}[-{session}]x", "nothing between {user} and what follows"],
    ["{user}[-{session}]{country}", "nothing between {user} and what follows"],
    ["[-{user}{session}]", "nothing between {user} and what follows"],
    ["a[-{user}]1", "nothing between {user} and what follows"],
  ])("refuses %p", (text, fault) => {
    const parsed = parseUserTemplate(text);
    expect(parsed.ok ? "" : parsed.reason).toContain(fault);
  });
});
