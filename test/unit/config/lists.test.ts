import { describe, expect, test } from "bun:test";

import { checkConfig } from "../../../src/config/check.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { runCli } from "../../../src/cli/run-cli.ts";
import { writeListCopy } from "../../../src/lists/list-copies.ts";
import { evaluate } from "../../../src/proxy/policy/evaluate.ts";
import type { Policy } from "../../../src/proxy/policy/policy.ts";
import { runAtOnce } from "../../../src/steps.ts";
import { compileForTest, listCompileProblems } from "../../support/compile-for-test.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeQuery } from "../../support/make-policy.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

function compile(raw: Record<string, unknown>, files: Readonly<Record<string, string>> = {}) {
  return compileForTest({ default: "deny", ...raw }, { files: new Map(Object.entries(files)) });
}

/** The rule that decides about a target, and `allow` or `deny`. */
function decide(policy: Policy, target: string, asker: Parameters<typeof makeQuery>[1] = {}): string {
  const found = evaluate(policy, makeQuery(target, asker));
  return found.kind === "decided" ? `${found.decision.verdict} ${found.decision.rule}` : found.kind;
}

const file = { file: "list.txt" };
const list = (text: string) => ({ "list.txt": text });

describe("a list in a file", () => {
  test("has the targets of a rule, beside those of the rule itself", () => {
    const text = "# ours\na.example\n*.b.example:443\n0.0.0.0 c.example d.example\n||e.example^\n192.0.2.0/24\n";
    const { policy } = compile({ rules: [{ to: ["own.example", file], allow: true }] }, list(text)).runtime;
    const allowed = "own.example:1 a.example:1 x.b.example:443 c.example:1 d.example:1 e.example:1 x.e.example:1";
    for (const target of `${allowed} 192.0.2.9:1`.split(" ")) expect(decide(policy, target)).toBe("allow rule-1");
    for (const target of ["x.a.example:1", "x.b.example:1", "b.example:443", "ours:1"])
      expect(decide(policy, target)).toBe("needs_address");
    expect(decide(policy, "192.0.3.9:1")).toBe("deny default");
  });

  test("has the clients, the users and the server names of a rule", () => {
    const rule = { from: [{ file: "from" }], users: [{ file: "users" }], sni: [{ file: "sni" }], allow: true };
    const files = { from: "192.0.2.0/24\n", users: "ann\n", sni: "*.example.org\n" };
    const users = [{ name: "ann", password: "one" }];
    const { policy } = compile({ listen: ["127.0.0.1:0"], users, rules: [rule] }, files).runtime;
    const client = "192.0.2.7";
    expect(decide(policy, "x.example:443", { client, user: "ann" })).toBe("allow rule-1");
    expect(decide(policy, "x.example:443", { client, user: "bob" })).toBe("deny default");
    expect(decide(policy, "x.example:443", { user: "ann" })).toBe("deny default");
    const found = evaluate(policy, makeQuery("x.example:443", { client, user: "ann" }));
    const sni = found.kind === "decided" && found.decision.verdict === "allow" && found.decision.inside?.sni;
    expect(sni && sni !== "match" && [sni.has("a.example.org"), sni.has("example.net")]).toEqual([true, false]);
  });

  test.each(["*", "*:443", "0.0.0.0/0", "[::/0]:443"])(
    "must not have %s when a rule sends secrets to its targets, now or later",
    (entry) => {
      const rule = { to: ["@api"], request: { set: { authorization: { env: "TOKEN" } } } };
      const raw = { lists: { api: file }, rules: [rule] };
      const fault = "is every host, and a rule would send a secret there. Name the hosts.";
      const files = new Map(Object.entries(list(`a.example\n${entry}\n`)));
      expect(listCompileProblems(raw, { files, variables: { TOKEN: "t0ken" } })).toEqual([
        `/etc/penstock/list.txt:2: rules[0].to[0]: ${JSON.stringify(entry)} ${fault}`,
      ]);
      const good = new Map(Object.entries(list("a.example\n*.b.example\n10.0.0.0/8\n")));
      const { lists: plan } = compileForTest(raw, { files: good, variables: { TOKEN: "t0ken" } });
      const [source] = plan?.sources ?? [];
      if (plan === undefined || source === undefined) throw new Error("There is no list");
      expect(runAtOnce(plan.check(source.key, `${entry}\n`)).faults.join()).toContain(fault);
    },
  );

  test("may be one that several rules name", () => {
    const rules = [
      { to: ["@dev"], users: ["@dev"], deny: true },
      { to: ["@dev"], allow: true },
    ];
    const { policy } = compile({ lists: { dev: file }, rules }, list("a.example\n")).runtime;
    expect(decide(policy, "a.example:1", { user: "a.example" })).toBe("deny rule-1");
    expect(decide(policy, "a.example:1", { user: "ann" })).toBe("allow rule-2");
  });

  test("without content: a rule that allows by it matches nothing, and one that denies by it refuses everything", () => {
    const allows = compile({ rules: [{ to: [file, "own.example"], allow: true }] }).runtime.policy;
    expect(decide(allows, "a.example:1")).toBe("deny default");
    expect(decide(allows, "own.example:1")).toBe("allow rule-1");
    const denies = { to: ["b.example", file], from: ["127.0.0.0/8"], deny: true };
    const { policy } = compile({ rules: [denies, { to: ["*"], allow: true }] }).runtime;
    expect(decide(policy, "a.example:1", { client: "127.0.0.1" })).toBe("deny rule-1");
    // The other conditions of the rule hold.
    expect(decide(policy, "a.example:1", { client: "192.0.2.7" })).toBe("allow rule-2");
    for (const field of ["from", "users"]) {
      const rules = [
        { [field]: [file], to: ["a.example"], deny: true },
        { to: ["*"], allow: true },
      ];
      const found = compile({ rules }).runtime.policy;
      expect(decide(found, "a.example:1")).toBe("deny rule-1");
      expect(decide(found, "b.example:1")).toBe("allow rule-2");
      const allowed = compile({ rules: [{ [field]: [file], allow: true }] }).runtime.policy;
      expect(decide(allowed, "a.example:1", { user: "ann" })).toBe("deny default");
    }
    const { policy: inside } = compile({ rules: [{ sni: [file], allow: true }] }).runtime;
    const tunnel = evaluate(inside, makeQuery("a.example:443"));
    const sni = tunnel.kind === "decided" && tunnel.decision.verdict === "allow" && tunnel.decision.inside?.sni;
    expect(sni && sni !== "match" && sni.has("a.example")).toBe(false);
  });

  test("may be empty where it allows, and not where it denies", () => {
    const { policy } = compile({ rules: [{ to: [file], allow: true }] }, list("# nothing yet\n")).runtime;
    expect(decide(policy, "a.example:1")).toBe("deny default");
    const problems = listCompileProblems(
      { rules: [{ to: [file], deny: true }] },
      { files: new Map([["list.txt", "# x"]]) },
    );
    expect(problems).toEqual([
      "/etc/penstock/list.txt: rules[0].to[0]: The list has no entries, so that a rule would deny nothing by it. Write one, or take the list out.",
    ]);
  });

  test("compiles again with another text, and everything else as it was", () => {
    const { lists } = compile({ rules: [{ to: [file], allow: true }] }, list("a.example\n"));
    const [source] = lists?.sources ?? [];
    if (lists === undefined || source === undefined) throw new Error("There is a list");
    const policy = runAtOnce(lists.compile(new Map([[source.key, "b.example"]])));
    expect(decide(policy, "a.example:1")).toBe("deny default");
    expect(decide(policy, "b.example:1")).toBe("allow rule-1");
    expect(runAtOnce(lists.check(source.key, "b.example\n# c\n0.0.0.0 c.example d.example\n"))).toEqual({
      faults: [],
      entries: 3,
    });
    expect(runAtOnce(lists.check(source.key, "a b")).faults).toEqual([
      '/etc/penstock/list.txt:1: "a b" has more than one entry. Write one a line.',
    ]);
  });

  test("costs nothing where there is none", () => {
    expect(compile({ rules: [{ to: ["a.example"], allow: true }] }).lists).toBeUndefined();
  });

  test("says nothing of rules after it that it may cover today", () => {
    const rules = [
      { to: [file], deny: true },
      { to: ["a.example"], allow: true },
      { to: [file], allow: true },
    ];
    expect(compile({ rules }, list("a.example\n")).warnings).toEqual([]);
  });
});

test("a list from a URL has no content before it is fetched, and TLS or a hash unless there is a warning", () => {
  const url = "http://ann:secret@lists.example/a.txt?token=x";
  const { runtime, warnings, lists } = compile({ rules: [{ to: [{ url }], deny: true }], default: "direct" });
  expect(decide(runtime.policy, "a.example:1")).toBe("deny rule-1");
  expect(warnings.map(formatProblem)).toEqual([
    'rules[0].to[0]: The list is fetched without TLS: whoever is on the way can change it. Use https, or set "sha256".',
  ]);
  expect(lists?.sources[0]).toMatchObject({
    name: "http://lists.example/a.txt?…",
    at: { kind: "url", url, everyMs: 3_600_000 },
  });
  const sha256 = "0".repeat(64);
  expect(compile({ rules: [{ to: [{ url, sha256 }], deny: true }] }).warnings).toEqual([]);
});

test("a file that cannot be used at a start is replaced by the last good list of the state, but not for penstock check", async () => {
  const rules = [{ to: [file], allow: true }];
  await using folder = await makeFolder({
    "proxy.config.json": { rules, default: "deny", state: { folder: "state" } },
  });
  const options = { folder: folder.path, flags: {}, variables: {}, terminal: false };
  const load = async (more = {}) => {
    const loaded = await loadConfig({ ...options, ...more });
    return loaded.ok
      ? [decide(loaded.value.compiled.runtime.policy, "a.example:1"), ...loaded.warnings.map(formatProblem)]
      : loaded.problems.map(({ message }) => message);
  };
  const missing = 'Cannot read "list.txt": there is no such file or folder.';
  expect(await load()).toEqual([missing]);
  await writeListCopy(`${folder.path}/state`, "file list.txt", "a.example\n");
  const [decided, warning] = await load();
  expect(decided).toBe("allow rule-1");
  expect(warning).toEndWith(`rules[0].to[0]: ${missing} The last good list is used.`);
  expect(await load({ strictLists: true })).toEqual([missing]);
  // What is in use goes before what is kept.
  expect((await load({ findList: () => "b.example" }))[0]).toBe("deny default");
  const [copy = ""] = await Array.fromAsync(new Bun.Glob("state/lists/*").scan(folder.path));
  await folder.write({ [copy]: "damaged\na.example\n" });
  expect(await load()).toEqual([missing]);
});

describe("a wrong list", () => {
  test.each<[string, Record<string, unknown>, string]>([
    ["an unknown name", { to: ["@devv"] }, 'rules[0].to[0]: There is no list "devv". Did you mean "dev"?'],
    [
      "a name of other characters",
      { users: ["@a b"] },
      'rules[0].users[0]: A text names no list. Write "@" and the name of a list in "lists".',
    ],
    [
      "another setting",
      { to: [{ path: "x" }] },
      'rules[0].to[0].path: There is no such setting. Known here: "url", "every", "sha256".',
    ],
    [
      "another scheme",
      { to: [{ url: "ftp://x.example/" }] },
      'rules[0].to[0].url: The URL is no URL of a list. Write "https://host/path".',
    ],
    [
      "both",
      { to: [{ url: "https://x.example/", file: "x" }] },
      'rules[0].to[0].url: There is no such setting. Known here: "file".',
    ],
    [
      "no hash",
      { to: [{ url: "https://x.example/", sha256: "abc" }] },
      'rules[0].to[0].sha256: "abc" is no SHA-256. Write 64 hexadecimal digits, as sha256sum prints them.',
    ],
    ...(["to", "from", "users"] as const).flatMap((field) =>
      [{ url: "https://x.example/" }, "@web"].map((entry): [string, Record<string, unknown>, string] => [
        `private addresses by a URL in ${field}`,
        { [field]: [entry], allowPrivate: true },
        "rules[0].allowPrivate: A list from a URL cannot open special-purpose addresses: whoever writes it could reach inside. Take it from a file, or write a rule of its own.",
      ]),
    ),
    ...[{ url: "https://x.example/" }, "@web"].map((entry): [string, Record<string, unknown>, string] => [
      "hosts by a URL that would get a secret",
      { to: [entry], request: { set: { authorization: { env: "TOKEN" } } } },
      "rules[0].request: A list from a URL cannot say who gets a secret: whoever writes it could name a host of their own. Take it from a file, or name the hosts.",
    ]),
    ["no path", { from: [{ file: "" }] }, "rules[0].from[0].file: Found an empty text. Write the path of a file."],
    ["a number", { to: [7] }, 'rules[0].to[0]: Found 7. Write a target such as "*.example.org:443".'],
  ])("has %s", (_, rule, problem) => {
    const checked = checkConfig({
      lists: { dev: file, web: { url: "https://x.example/" } },
      rules: [{ ...rule, allow: true }],
    });
    expect(checked.ok ? [] : checked.problems.map(formatProblem)).toContain(problem);
  });

  test("has a name that nothing can refer to, or that nothing refers to", () => {
    const checked = checkConfig({ lists: { "a b": file } });
    expect(checked.ok ? [] : checked.problems.map(formatProblem)).toEqual([
      'lists["…"]: The name of the list has other characters. Write up to 64 letters, digits, dots, hyphens or underscores.',
    ]);
    expect(compile({ lists: { dev: file } }).warnings.map(formatProblem)).toEqual([
      'lists.dev: No rule uses this list, so its entries are not checked. Write "@dev" in a rule, or leave it out.',
    ]);
  });

  test("is reported with its file and line by penstock check, all of it at once", async () => {
    await using folder = await makeFolder({
      "proxy.config.json": { rules: [{ to: [{ file: "a.txt" }, { file: "gone.txt" }], allow: true }] },
      "a.txt": "a.example\n\nb c\n10.0.0.1/8\n@@||d.example^\n",
    });
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["check"], io)).toBe(78);
    const text = io.told.join("\n");
    expect(text).toContain(`${folder.path}/a.txt:3: rules[0].to[0]: "b c" has more than one entry.`);
    expect(text).toContain(`${folder.path}/a.txt:4: rules[0].to[0]: "10.0.0.1/8" has bits set beyond the prefix.`);
    expect(text).toContain(`${folder.path}/a.txt:5: rules[0].to[0]: A text is an exception of an ad blocker.`);
    expect(text).toContain('rules[0].to[1]: Cannot read "gone.txt": there is no such file or folder.');
  });

  test("with more wrong lines than anybody reads is told in part", () => {
    const text = "a b\n".repeat(50);
    const files = new Map([["list.txt", text]]);
    const problems = listCompileProblems({ rules: [{ to: [file], allow: true }] }, { files });
    expect(problems).toHaveLength(21);
    expect(problems.at(-1)).toBe("/etc/penstock/list.txt: rules[0].to[0]: 30 more lines cannot be used.");
  });

  test.each([
    ["no UTF-8", Buffer.from("a.example\nb\xff.example\n", "latin1"), "line 2 is not UTF-8"],
    ["a folder", undefined, "it is a folder"],
  ])("may be %s", async (_, content, reason) => {
    await using folder = await makeFolder({
      "proxy.config.json": { rules: [{ to: [{ file: "a" }], allow: true }] },
      ...(content === undefined && { "a/b": "" }),
    });
    if (content !== undefined) await Bun.write(`${folder.path}/a`, content);
    const loaded = await loadConfig({ folder: folder.path, flags: {}, variables: {}, terminal: false });
    expect(loaded.ok ? [] : loaded.problems.map(({ message }) => message)).toEqual([`Cannot read "a": ${reason}.`]);
  });
});

test("penstock explain names the list and the line by which a rule matches", async () => {
  await using folder = await makeFolder({
    "proxy.config.json": {
      lists: { dev: { file: "dev.txt" } },
      rules: [
        { name: "ads", to: [{ file: "ads.txt" }], from: ["127.0.0.0/8", { file: "from.txt" }], deny: true },
        { name: "dev", to: ["own.example", "@dev"], via: "corp" },
      ],
      upstreams: { corp: "http://127.0.0.1:9" },
    },
    "ads.txt": "# ads\n0.0.0.0 a.example b.example\n192.0.2.0/24\n",
    "dev.txt": "x.example\n*.dev.example:443\n",
    "from.txt": "198.51.100.0/24\n",
  });
  const lists = async (...args: readonly string[]) => {
    const io = createFakeIo({ folder: folder.path });
    await runCli(["explain", ...args], io);
    return io
      .printed()
      .split("\n")
      .filter((line) => line.startsWith("list:"))
      .map((line) => line.slice(9));
  };
  expect(await lists("b.example")).toEqual(['to: "ads.txt", line 2']);
  expect(await lists("192.0.2.7:22", "--from", "198.51.100.9")).toEqual([
    'from: "from.txt", line 1',
    'to: "ads.txt", line 3',
  ]);
  const io = createFakeIo({ folder: folder.path });
  await runCli(["explain", "192.0.2.7:22", "--json"], io);
  expect(JSON.parse(io.printed())).toMatchObject({ rule: "ads", lists: ['to: "ads.txt", line 3'] });
});
