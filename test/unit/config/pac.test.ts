import { describe, expect, test } from "bun:test";

import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

function listProblems(raw: unknown): string[] {
  const checked = checkConfig(raw);
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

const url = "https://pac.example/proxy.pac";

describe("an upstream with a PAC file", () => {
  test.each<[string, unknown, string]>([
    [
      "no text",
      { pac: 7 },
      'upstreams.corp.pac: Found 7. Write the path of a PAC file, or a URL such as "https://pac.example/proxy.pac".',
    ],
    [
      "another scheme",
      { pac: "ftp://pac.example/x" },
      'upstreams.corp.pac: The URL is no URL of a PAC file. Write "https://host/path", or the path of a file.',
    ],
    [
      "refresh of a file",
      { pac: "proxy.pac", refresh: "1h" },
      'upstreams.corp.refresh: The PAC file is a file, which is followed as it changes. Leave "refresh" out.',
    ],
    [
      "no time between fetches",
      { pac: url, refresh: "0" },
      'upstreams.corp.refresh: "0" would leave no time at all. Write a longer one, such as "10s".',
    ],
    [
      "a password without a user",
      { pac: url, password: "secret" },
      'upstreams.corp.password: Found a password without a user. Set "username" too.',
    ],
    [
      "a login for no proxy",
      { pac: url, logins: { "http://p": { username: "u" } } },
      'upstreams.corp.logins["…"]: This names no proxy. Write "proxy.example" or "proxy.example:8080".',
    ],
    [
      "a URL beside it",
      { pac: url, url: "http://p:1" },
      'upstreams.corp.url: There is no such setting. Known here: "pac", "refresh", "username", "password", "logins", "ca".',
    ],
  ])("is refused with %s", (_, corp, problem) => {
    expect(listProblems({ upstreams: { corp } })).toEqual([problem]);
  });

  test("is compiled with the logins of its proxies, the most exact one first", () => {
    const { runtime, pacs } = compileForTest({
      upstreams: {
        corp: {
          pac: url,
          refresh: "10m",
          username: "all",
          password: "a",
          logins: { "p.example": { username: "host" }, "p.example:8080": { username: "exact", password: "e" } },
        },
      },
    });
    expect(pacs).toEqual([{ name: "corp", at: { kind: "url", url, refreshMs: 600_000 } }]);
    const plan = runtime.pacs?.get("corp");
    expect(plan?.credentials("p.example:8080", "p.example")?.user).toBe("exact");
    expect(plan?.credentials("p.example:8080", "p.example")?.password.reveal()).toBe("e");
    expect(plan?.credentials("p.example:1", "p.example")?.user).toBe("host");
    expect(plan?.credentials("q.example:1", "q.example")?.user).toBe("all");
  });

  test("takes no credentials with control characters, wherever they are", async () => {
    await using folder = await makeFolder({
      "proxy.pac": 'function FindProxyForURL() { return "DIRECT"; }',
      "secret.txt": "a\u0001b",
      "proxy.config.json": {
        upstreams: {
          one: { pac: "proxy.pac", username: "a\nb", password: "c" },
          two: { pac: "proxy.pac", logins: { "p.example": { username: "a", password: { file: "secret.txt" } } } },
        },
      },
    });
    const loaded = await loadConfig({ folder: folder.path, flags: {}, variables: {}, terminal: false });
    const message = "The user name or the password has a control character. Leave it out.";
    expect(loaded.ok ? [] : loaded.problems.map(({ path, message: told }) => [path.join("."), told])).toEqual([
      ["upstreams.one", message],
      ["upstreams.two.logins.p.example", message],
    ]);
  });

  test("warns of a URL without TLS", () => {
    const { warnings } = compileForTest({ upstreams: { corp: { pac: "http://pac.example/proxy.pac" } } });
    expect(warnings.map(formatProblem)).toEqual([
      "upstreams.corp.pac: The PAC file is fetched without TLS: whoever is on the way can choose the proxies. Use https.",
    ]);
  });

  test("costs nothing where there is none", () => {
    expect(compileForTest({}).runtime.pacs).toBeUndefined();
  });

  test.each([
    ["is missing", undefined, 'Cannot read "proxy.pac": there is no such file or folder.'],
    ["is empty", "", 'The file "proxy.pac" is empty.'],
    [
      "is broken",
      "function FindProxyForURL(",
      "Cannot use this PAC file: it threw SyntaxError: missing formal parameter in line 1.",
    ],
    ["has no function", "var a;", 'Cannot use this PAC file: it defines no function "FindProxyForURL".'],
  ])("is an error of the configuration when its file %s", async (_, text, problem) => {
    await using folder = await makeFolder({
      "proxy.config.json": { upstreams: { corp: { pac: "proxy.pac" } } },
      ...(text !== undefined && { "proxy.pac": text }),
    });
    const loaded = await loadConfig({ folder: folder.path, variables: {}, flags: {}, terminal: false });
    expect(loaded.ok ? [] : loaded.problems.map(({ message }) => message)).toEqual([problem]);
    expect(loaded.files).toContain(`${folder.path}/proxy.pac`);
  });
});

describe("pac", () => {
  test.each([
    ["*.corp.example:443", '"*.corp.example:443" has a port. Write the host alone: the exception is for all ports.'],
    ["*", '"*" is every host. Write names, or ranges of addresses.'],
    ["http://corp.example/", '"http://corp.example/" is a URL. Write "corp.example:80".'],
  ])("refuses the exception %p", (direct, message) => {
    expect(listProblems({ pac: { direct: [direct] } })).toEqual([`pac.direct[0]: ${message}`]);
  });

  test("compiles names, suffixes and ranges", () => {
    const { direct } = compileForTest({ pac: { direct: ["*.Corp.example", "intranet", "10.0.0.0/8"] } }).browserPac;
    expect(direct).toMatchObject([
      { kind: "suffix", suffix: "corp.example" },
      { kind: "name", name: "intranet" },
      { kind: "cidr", cidr: { text: "10.0.0.0/8" } },
    ]);
  });
});
