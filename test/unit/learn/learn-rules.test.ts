import { describe, expect, test } from "bun:test";
import { learnRules, Observations } from "../../../src/learn/learn-rules.ts";
import { readEntry } from "../../../src/learn/read-entry.ts";
import { hasSuffixesBelow } from "../../../src/learn/registered-domain.ts";
import { RULE_FORMS, writeRules } from "../../../src/learn/write-rules.ts";
import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

function learn(targets: readonly string[], more: Record<string, unknown> = {}, threshold = 3): string[] {
  const seen = new Observations();
  for (const target of targets) {
    const read = readEntry({ target, route: "direct", ...more });
    if (typeof read === "string") throw new Error(`${target}: ${read}`);
    seen.add(read);
  }
  return learnRules(seen, threshold).flatMap((rule) => rule.targets.map(({ pattern }) => pattern));
}

describe("learnRules()", () => {
  test("allows all names below what three names of one registered domain have in common", () => {
    expect(learn(["a.example.org:443", "b.example.org:443"])).toEqual(["a.example.org:443", "b.example.org:443"]);
    expect(learn(["a.example.org:443", "b.example.org:443", "c.example.org:443", "example.org:443"])).toEqual([
      "example.org:443",
      "*.example.org:443",
    ]);
    expect(learn(["a.cdn.example.org:443", "b.cdn.example.org:443", "c.cdn.example.org:443"])).toEqual([
      "*.cdn.example.org:443",
    ]);
  });

  test.each([
    ["a public suffix", ["a.co.uk:443", "b.co.uk:443", "c.co.uk:443"]],
    ["a private suffix", ["a.github.io:443", "b.github.io:443", "c.github.io:443"]],
    ["a domain with public suffixes below it", ["a.amazonaws.com:443", "b.amazonaws.com:443", "c.amazonaws.com:443"]],
    ["a suffix that is in no list", ["a.corp.internal:443", "b.corp.internal:443", "c.corp.internal:443"]],
    ["addresses", ["93.184.216.1:443", "93.184.216.2:443", "93.184.216.3:443"]],
    ["names at different ports", ["a.example.org:1", "b.example.org:2", "c.example.org:3"]],
  ])("does not generalise %s", (_, targets) => {
    expect(learn(targets).toSorted()).toEqual(targets.toSorted());
  });

  test("does not generalise names that were private, or went different ways", () => {
    const names = ["a.example.org:443", "b.example.org:443", "c.example.org:443"];
    expect(learn(names, { dialled: "10.0.0.1:443" })).toEqual(names);
    const seen = new Observations();
    for (const [at, target] of names.entries()) {
      const read = readEntry({ target, route: at === 0 ? "up" : "direct" });
      if (typeof read !== "string") seen.add(read);
    }
    expect(
      learnRules(seen, 2)
        .flatMap(({ targets }) => targets.map(({ pattern }) => pattern))
        .toSorted(),
    ).toEqual(names);
  });

  test("joins the ports of one host, and users of the same targets", () => {
    const seen = new Observations();
    for (const user of ["bob", "alice"])
      for (const port of [443, 80]) {
        const read = readEntry({ target: `example.org:${port}`, route: "corp > exit", user });
        if (typeof read !== "string") seen.add(read);
      }
    expect(learnRules(seen, 3)).toMatchObject([
      { users: ["alice", "bob"], via: ["corp", "exit"], targets: [{ pattern: "example.org:80,443", requests: 4 }] },
    ]);
  });
});

/** Targets with a rule that would have refused them, or with none; and what is learned of those with one. */
function learnReported(entries: readonly (readonly [target: string, reportedBy?: string])[]): string[] {
  const seen = new Observations();
  for (const [target, reported_rule] of entries) {
    const read = readEntry({ target, route: "direct", ...(reported_rule !== undefined && { reported_rule }) });
    if (typeof read === "string") throw new Error(`${target}: ${read}`);
    seen.add(read);
  }
  return learnRules(seen, 3, "reported").flatMap((rule) => rule.targets.map(({ pattern }) => pattern));
}

describe("learnRules() of what was reported", () => {
  test("leaves out what no rule would have refused, and keeps what one would have refused once", () => {
    expect(learnReported([["a.example:443", "default"], ["api.example:443"]])).toEqual(["a.example:443"]);
    expect(learnReported([["a.example:443"], ["a.example:443", "default"]])).toEqual(["a.example:443"]);
    expect(learnReported([["api.example:443"]])).toEqual([]);
  });

  test("generalises to nothing that was left out", () => {
    const reported = ["a", "b", "c"].map((label) => [`${label}.example.org:443`, "default"] as const);
    expect(learnReported(reported)).toEqual(["*.example.org:443"]);
    expect(learnReported([...reported, ["api.example.org:443"]])).toEqual(reported.map(([target]) => target));
    expect(learnReported([...reported, ["api.example.org:80"]])).toEqual(["*.example.org:443"]);
  });
});

describe("penstock learn of a log with reports", () => {
  async function run(...args: string[]) {
    const line = (target: string, more: object) => `${JSON.stringify({ target, route: "direct", ...more })}\n`;
    await using folder = await makeFolder({
      "access.log":
        line("a.example:443", { reported: "denied_by_default", reported_rule: "default" }) +
        line("api.example:443", { rule: "api" }) +
        line("b.example:443", { detail: "denied_by_rule" }),
      "allowed.log": line("api.example:443", { rule: "api" }),
    });
    const io = createFakeIo({ folder: folder.path });
    const code = await runCli(["learn", ...args], io);
    return { code, told: io.told, printed: io.printed() };
  }

  test("says what it learns beside the reports, and leaves it out with --reported", async () => {
    const refused = "Not learned: 1 refused request.";
    const all = await run("--from", "access.log");
    expect(all.code).toBe(0);
    expect(all.printed).toContain('"api.example:443"');
    expect(all.told).toEqual([
      "Learned from 2 requests.",
      'Learned as well: 1 request that no rule would have refused. The learned rules open tunnels to these targets, also where a rule had "paths", "methods" or "request". Leave them out with --reported.',
      refused,
    ]);
    const some = await run("--from", "access.log", "--reported");
    expect(some.code).toBe(0);
    expect(some.printed).toContain('"a.example:443"');
    expect(some.printed).not.toContain("api.example");
    expect(some.told).toEqual([
      "Learned from 1 request.",
      "Left out: 1 request that no rule would have refused. Keep the rules that allow them.",
      refused,
    ]);
    const { printed } = await run("--from", "access.log", "--reported", "--json");
    expect(JSON.parse(printed)).toMatchObject({ requests: 2, skipped: { refused: 1, not_reported: 1 } });
  });

  test("learns nothing with --reported where nothing was reported, and says nothing of it without", async () => {
    const none = await run("--from", "allowed.log", "--reported");
    expect(none.code).toBe(1);
    expect(none.printed).toContain("rules: []\n");
    expect((await run("--from", "allowed.log")).told).toEqual(["Learned from 1 request."]);
  });
});

describe("readEntry()", () => {
  test.each([
    [{ target: "*.example.org:443" }, "unreadable"],
    [{ target: "a.example" }, "unreadable"],
    [{ target: "10.0.0.0/8:443" }, "unreadable"],
    [{ target: "a.example:443", user: "@dev" }, "unusable_user"],
    [{ target: "a.example:443", detail: "denied_by_rule", bytes_down: 5 }, "refused"],
    [{ target: "a.example:443", detail: "address_prohibited" }, "refused"],
    [{ target: "a.example:443", end: "denied" }, "refused"],
    [{ target: "a.example:443", detail: "dns_error" }, "failed"],
    [7, "unreadable"],
  ] as const)("learns nothing from %p", (entry, skipped) => {
    expect(readEntry(entry)).toBe(skipped);
  });
});

test("A domain with public suffixes below it is told from one without", () => {
  expect(["amazonaws.com", "com", "example.org", "github.io"].map(hasSuffixesBelow)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("A hostile user or remark breaks no form of the written rules", () => {
  const seen = new Observations();
  const user = 'x"\n- evil: true\u2028\u0085\u007f*/';
  const read = readEntry({ target: "a.example:443", user, reported_rule: "r\n]; evil()" });
  if (typeof read === "string") throw new Error(read);
  seen.add(read);
  const rules = learnRules(seen, 3);
  expect(JSON.parse(writeRules(rules, "json", []))).toMatchObject({ rules: [{ users: [user] }] });
  expect(Bun.TOML.parse(writeRules(rules, "toml", ["a\nb"]))).toMatchObject({
    default: "deny",
    rules: [{ users: [user] }],
  });
  expect(Bun.YAML.parse(writeRules(rules, "yaml", ["a\nb"]))).toMatchObject({
    default: "deny",
    rules: [{ users: [user] }],
  });
  expect(new Bun.Transpiler({ loader: "ts" }).scanImports(writeRules(rules, "ts", ["a\nb"]))).toHaveLength(1);
});

describe("writeRules()", () => {
  test.each(RULE_FORMS)(
    "writes rules in %s that hold beside the upstream that they were learned with",
    async (form) => {
      const seen = new Observations();
      for (const [target, route] of [
        ["a.example:443", "upstream"],
        ["b.example:443", "direct"],
      ]) {
        const read = readEntry({ target, route });
        if (typeof read !== "string") seen.add(read);
      }
      const text = writeRules(learnRules(seen, 3), form, ["remark"]);
      await using folder = await makeFolder({ [`proxy.config.${form}`]: text });
      const io = createFakeIo({ folder: folder.path });
      const code = await runCli(["check", "--json", "--upstream", "http://192.0.2.1:3128"], io);
      expect([code, io.told]).toEqual([0, []]);
      const { effective } = JSON.parse(io.printed()) as { effective: object };
      expect(effective).toMatchObject({
        default: "upstream",
        rules: [
          { to: ["a.example:443"], allow: true, via: "upstream" },
          { to: ["b.example:443"], allow: true, via: "direct" },
          { name: "not-learned", deny: true },
        ],
      });
    },
  );
});
