import { describe, expect, test } from "bun:test";
import { evaluateInPac, loadPac, openPac } from "../../support/open-pac.ts";

/** More than a busy machine needs for what ends. */
const PATIENT = { evaluationMs: 2000 };
const ENDLESS = "did not end within 200 ms";
const ask = ["https://a.example/", "a.example"] as const;

describe("a PAC file", () => {
  test("answers with the text of its function, for the URL and the host", async () => {
    using pac = await openPac(`function FindProxyForURL(url, host) { return "PROXY " + host + ":80; " + url; }`);
    expect(await pac.find("http://a.example/x?y", "a.example")).toEqual({
      kind: "answer",
      text: "PROXY a.example:80; http://a.example/x?y",
    });
  });

  test.each([
    ["a function that is a constant", `const FindProxyForURL = (url, host) => "DIRECT";`],
    ["a function for IPv6, as Windows calls it", `function FindProxyForURLEx(url, host) { return "DIRECT"; }`],
    [
      "functions of its own with the names of the known ones",
      `function isInNet() { return "DIRECT"; } function FindProxyForURL() { return isInNet(); }`,
    ],
    ["sloppy code", `function FindProxyForURL(url, host) { x = "DI"; with ({ y: "RECT" }) { return x + y; } }`],
    [
      "language of today",
      `function FindProxyForURL(url, host) { return url?.at(0) === "h" ? "DIRECT" : \`PROXY \${host}\`; }`,
    ],
  ])("may have %s", async (_, source) => {
    using pac = await openPac(source);
    expect(await pac.find(...ask)).toEqual({ kind: "answer", text: "DIRECT" });
  });

  test.each([["null"], ["undefined"], ["void 0"]])("may answer with %s", async (value) => {
    using pac = await openPac(`function FindProxyForURL() { return ${value}; }`);
    expect(await pac.find(...ask)).toEqual({ kind: "answer", text: undefined });
  });

  test.each([
    ["is no JavaScript", "function FindProxyForURL(", /^threw SyntaxError: .* in line 1$/],
    ["defines nothing", "var a = 1;", /^defines no function "FindProxyForURL"$/],
    ["is a web page", "<!doctype html><title>Log in</title>", /^threw SyntaxError/],
    ["throws", "\n\nthrow new Error('no')", /^threw Error: no in line 3$/],
    ["asks for a name too early", "dnsResolve('a.example')", /^asks for the addresses of names before/],
  ])("that %s cannot be loaded", async (_, source, why) => {
    expect(await loadPac(source, PATIENT)).toMatch(why);
  });

  test("that never ends cannot be loaded", async () => {
    expect(await loadPac("for (;;);", { evaluationMs: 20 })).toBe("did not end within 200 ms");
  });

  test("asks for a name that is not known, also when it catches everything", async () => {
    using pac = await openPac(
      `function FindProxyForURL(url, host) { try { return "PROXY " + dnsResolve("B.example.") } catch (all) { return "DIRECT" } }`,
    );
    expect(await pac.find(...ask)).toEqual({ kind: "needs", name: "b.example." });
    expect(await pac.find(...ask, { "b.example.": ["192.0.2.1"] })).toEqual({
      kind: "answer",
      text: "PROXY 192.0.2.1",
    });
  });

  test("cannot make a name out of something that has code", async () => {
    expect(await evaluateInPac(`dnsResolve({ toString() { return "a".repeat(9e6) } })`)).toBeNull();
    expect(await evaluateInPac(`dnsResolve("a".repeat(9e6))`)).toBeNull();
  });

  test("sees nothing but the language and the functions of PAC files", async () => {
    const names = `["Bun", "process", "require", "fetch", "XMLHttpRequest", "WebSocket", "Worker", "setTimeout", "console", "resolve", "own", "inNet", "WebAssembly", "std", "os"]`;
    expect(await evaluateInPac(`${names}.filter(function (name) { return name in globalThis })`)).toEqual([]);
    expect(await evaluateInPac(`Function("return typeof process + typeof Bun")()`)).toBe("undefinedundefined");
  });

  test("cannot import anything", async () => {
    using pac = await openPac(
      `var seen = "DIRECT"; function FindProxyForURL() { import("os").then(function () { seen = "PROXY a:1" }, function () {}); return seen; }`,
    );
    expect(await pac.find(...ask)).toEqual({ kind: "answer", text: "DIRECT" });
    expect(await pac.find(...ask)).toEqual({ kind: "answer", text: "DIRECT" });
  });
});

describe("a hostile PAC file", () => {
  test.each([
    ["an endless loop", "for (;;);", ENDLESS],
    ["an endless loop in a callback of the engine", "[2, 1].sort(function () { for (;;); })", ENDLESS],
    ["a loop that catches its end", "for (;;) try { for (;;); } catch (all) {}", ENDLESS],
    ["a regular expression without end", "/^(a+)+$/.test('a'.repeat(60) + 'b')", ENDLESS],
    ["a glob without end", "shExpMatch('a'.repeat(5000), '*a'.repeat(40) + 'b')", ENDLESS],
    ["100 MB in one text", "'x'.repeat(1e8)", "needs too much memory"],
    ["100 MB in one buffer", "new Uint8Array(1e8)", "needs too much memory"],
    ["memory without end", "for (var all = [];;) all.push(new Array(1e5).fill(0))", "needs too much memory"],
    [
      "recursion without end",
      "(function self() { return self() + 1 })()",
      /^threw RangeError: Maximum call stack size exceeded/,
    ],
    [
      "nesting without end",
      "JSON.parse('['.repeat(1e6))",
      /^(?:threw RangeError: Maximum call stack|broke the engine)/,
    ],
    ["a throw", "null.x", /^threw TypeError: .* in line 1$/],
    ["a throw of something else", "(function () { throw 7 })()", /^threw /],
    ["a throw with a message that never ends", "(function () { throw { get message() { for (;;); } } })()", /^threw /],
    [
      "a throw with control characters",
      "(function () { throw new Error('\\x1b[2J') })()",
      String.raw`threw Error: \u001b[2J in line 1`,
    ],
  ])("with %s fails, and the next question is answered", async (_, code, why) => {
    using pac = await openPac(
      `function FindProxyForURL(url, host) { if (host === "bad") { ${code}; } return "DIRECT"; }`,
      {
        ...(why === ENDLESS ? { evaluationMs: 200 } : PATIENT),
        memoryBytes: 16 * 1024 * 1024,
      },
    );
    const step = await pac.find("https://bad/", "bad");
    expect(step).toEqual({ kind: "failed", why: typeof why === "string" ? why : expect.stringMatching(why) });
    expect(await pac.find(...ask)).toEqual({ kind: "answer", text: "DIRECT" });
  });

  test.each([
    ["a number", "7", "answered with a number and not with a text"],
    ["a truth", "true", "answered with true or false and not with a text"],
    [
      "an object with code",
      "({ toString: function () { for (;;); } })",
      "answered with something else and not with a text",
    ],
    ["a promise", "Promise.resolve('DIRECT')", "answered with a promise and not with a text"],
    ["a huge text", "'PROXY a:1;'.repeat(1000)", "answered with a text of more than 8192 characters"],
  ])("that answers with %s fails", async (_, value, why) => {
    using pac = await openPac(`function FindProxyForURL() { return ${value}; }`);
    expect(await pac.find(...ask)).toEqual({ kind: "failed", why });
  });

  test("that collects memory over many questions goes on with an empty one", async () => {
    using pac = await openPac(
      `var all = []; function FindProxyForURL() { all.push("x".repeat(1e6)); return "PROXY a:" + all.length; }`,
      { memoryBytes: 16 * 1024 * 1024 },
    );
    const texts = new Set<string | undefined>();
    for (let round = 0; round < 40; round += 1) {
      const step = await pac.find(...ask);
      texts.add(step.kind === "answer" ? step.text : step.kind);
    }
    expect(texts.has("failed")).toBe(false);
    expect(texts.size).toBeLessThan(20);
  });
});
