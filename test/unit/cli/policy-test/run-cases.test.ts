import { describe, expect, test } from "bun:test";

import { runCli } from "../../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../../support/fake-io.ts";
import { makeFolder } from "../../../support/temporary-folder.ts";

const config = JSON.stringify({
  users: [
    { name: "ci", password: "x" },
    { name: "ann", password: "y" },
  ],
  upstreams: { corp: "http://10.9.9.9:3128" },
  default: "deny",
  rules: [
    { name: "blocked", to: ["*.evil.example"], deny: true },
    { name: "packages", users: ["ci"], to: ["packages.example"], via: "corp" },
    { name: "local names", to: ["localhost", "plain.example"], allow: true },
    { name: "inside", to: ["10.0.0.0/8"], allowPrivate: true },
  ],
});

async function runTest(files: Readonly<Record<string, string>>, ...argv: string[]) {
  await using folder = await makeFolder({ "proxy.config.json": config, ...files });
  const io = createFakeIo({ folder: folder.path });
  const names = Object.keys(files).filter((name) => name !== "proxy.config.json");
  const code = await runCli(["test", ...names, ...argv], io);
  return { code, printed: io.printed(), told: io.told };
}

describe("penstock test", () => {
  test("passes when every case of every file is decided as expected", async () => {
    const yaml = [
      "# A comment.",
      "- user ci from 10.0.0.7 → packages.example:443: allow via corp",
      "- user ci => packages.example: allow by packages",
      "- user ann -> a.evil.example: deny denied_by_rule by blocked",
      "- 'user ann → 10.1.2.3:22: allow by inside via direct'",
      "- user ann → localhost:443: deny address_prohibited",
      '- user ann → plain.example:443: allow by rule "local names"',
      "- user ann → intranet.example:443: allow by inside",
      "  address: 10.1.2.3",
      "- user ann → far.example:443: deny denied_by_default",
      "  address: [198.51.100.1, '2001:db8::1']",
      '  at: "2026-12-24T18:00:00+01:00"',
      "- nobody → packages.example:443: deny credentials_required",
    ].join("\n");
    const script = 'export default ["user ci → [64:ff9b::a01:203]:22: allow by inside"];';
    const json = '{ "cases": [{ "user ci → https://packages.example/simple/": "allow via corp" }] }';
    expect(await runTest({ "a.yaml": yaml, "b.ts": script, "c.json": json })).toEqual({
      code: 0,
      printed: "11 passed, 0 failed.\n",
      told: [],
    });
  });

  test("says where a case failed, what was expected, what was found and why", async () => {
    const yaml = "- user ann → packages.example:443: allow via corp\n  address: 192.0.2.1\n";
    expect(await runTest({ "policy.yaml": yaml })).toEqual({
      code: 1,
      printed: [
        "policy.yaml:1:3: user ann → packages.example:443",
        "  expected: allow via corp",
        "  found:    deny denied_by_default by default",
        '    1. no: blocked (deny): "to" does not have packages.example',
        '    2. no: packages (via corp): "users" does not have ann',
        '    3. no: local names (allow): "to" does not have packages.example',
        '    4. no: inside (allow; private addresses): "to" does not have packages.example',
        "    default (deny): decides",
        "0 passed, 1 failed.",
        "",
      ].join("\n"),
      told: [],
    });
  });

  test.each([
    ["user ci → packages.example:443: allow via direct", "allow by packages via corp"],
    ["user ci → packages.example:443: allow by inside", "allow by packages via corp"],
    ["user ci → packages.example:443: deny", "allow by packages via corp"],
    ["user ci → a.evil.example:443: allow", "deny denied_by_rule by blocked (rule blocked)"],
    ["user ci → a.evil.example:443: deny denied_by_default", "deny denied_by_rule by blocked (rule blocked)"],
    ["user ci → 127.0.0.1:8080: allow", "deny"],
  ])("fails %s", async (line, found) => {
    const { code, printed } = await runTest({ "policy.json": JSON.stringify([line]) });
    expect(code).toBe(1);
    expect(printed).toContain(`  found:    ${found}`);
  });

  test("judges by the time of a case, as a tunnel, and takes the name of an exempt client", async () => {
    const written = {
      users: [{ name: "ann", password: "x" }],
      auth: { exempt: [{ name: "lan", from: "10.0.0.0/8" }] },
      default: "deny",
      rules: [
        { name: "work", hours: "Mon-Fri 08:00-18:00 Europe/Berlin", until: "2026-12-31", allow: true },
        { name: "reading", to: ["docs.example"], methods: ["GET"], paths: ["/public/*"], allow: true },
        { name: "writing", to: ["docs.example"], methods: ["POST"], deny: true },
        { name: "lan", users: ["lan"], allow: true },
      ],
    };
    const yaml = [
      "- user ann → a.example:443: allow by work",
      '  at: "2026-12-24T08:00 Europe/Berlin"',
      "- user ann → a.example:443: deny by default",
      '  at: "2026-12-24T17:00:00Z"',
      "- user ann → http://docs.example/public/a: deny by writing",
      '  at: "2026-12-26T12:00:00Z"',
      "- from 10.0.0.7 → a.example:443: allow by lan",
      '  at: "2026-12-26T12:00:00Z"',
      "- from 192.0.2.1 → a.example:443: deny credentials_required",
      "- from 10.0.0.7 → docs.example:443: allow",
      '  at: "2027-01-02T12:00:00Z"',
    ].join("\n");
    expect(await runTest({ "proxy.config.json": JSON.stringify(written), "p.yaml": yaml })).toEqual({
      code: 1,
      printed: [
        "p.yaml:10:3: from 10.0.0.7 → docs.example:443",
        "  expected: allow",
        "  found:    deny denied_by_rule by writing (rule writing)",
        '    1. no: work (allow): "hours" does not have 2027-01-02T12:00:00.000Z; "until" ended the rule at 2027-01-01T00:00:00.000Z',
        '    2. no: reading (allow): "methods" looks at forwarded requests, and this is a tunnel; "paths" looks at forwarded requests, and this is a tunnel',
        "    3. yes: writing (deny): decides",
        "    4. yes: lan (allow): matches, but an earlier rule decides",
        "    default (deny): not reached",
        "5 passed, 1 failed.",
        "",
      ].join("\n"),
      told: [],
    });
  });

  test("says which lists it does not have", async () => {
    const written = { rules: [{ name: "bad", to: [{ url: "https://lists.example/bad.txt" }], deny: true }] };
    const files = { "proxy.config.json": JSON.stringify(written), "p.yaml": "- → 192.0.2.1:443: allow\n" };
    const { code, printed } = await runTest(files);
    expect(code).toBe(1);
    expect(printed).toContain("is not known here: only the running proxy fetches it");
  });

  test("asks nobody for an address, and says which rule needs it", async () => {
    const { code, printed } = await runTest({ "p.yaml": "- user ann → far.example:443: deny denied_by_default\n" });
    expect(code).toBe(1);
    expect(printed).toContain(
      '  found:    rule inside needs the addresses of far.example. Add "address" to the case, or run with --resolve\n',
    );
  });

  test("prints every case in JSON", async () => {
    const lines = ["user ci → packages.example:443: allow", "user ci → a.evil.example:443: allow"];
    const { code, printed } = await runTest({ "p.json": JSON.stringify(lines) }, "--json");
    expect(code).toBe(1);
    expect(JSON.parse(printed)).toMatchObject({
      passed: 1,
      failed: 1,
      cases: [
        {
          place: "p.json:1:2",
          passed: true,
          expected: { verdict: "allow" },
          found: { rule: "packages", via: ["corp"] },
        },
        { question: "user ci → a.evil.example:443", passed: false, found: { verdict: "deny", word: "denied_by_rule" } },
      ],
    });
  });

  test.each([
    ["a case without an answer", "- user ci → packages.example\n", "p.yaml:1:3: [0]: A text has no answer."],
    ["a word that is no reason", "- → a:1: deny denied_by_ruel\n", "no reason of a refusal. Did you mean"],
    [
      "an answer that is none",
      "- → a:1: maybe\n",
      '"maybe" is not an answer. Begin it with "allow", "deny" or "report".',
    ],
    ["a way of a refusal", "- → a:1: deny via corp\n", 'What is denied has no way. Leave out "via".'],
    ["a client that is none", "- from here → a:1: deny\n", '"here" is not an IP address.'],
    ["a target that is none", "- → a:0: deny\n", '"a:0" is not a target'],
    ["another option", "- → a:1: deny\n  adress: 10.0.0.1\n", 'Unknown "adress". Did you mean "address"?'],
    ["an address that is none", "- → a:1: deny\n  address: b\n", '"b" in "address" is not an IP address.'],
    ["a time without a zone", "- → a:1: deny\n  at: 2026-12-24\n", '"2026-12-24" in "at" is no time with its zone.'],
    ["no cases", "tests: []\n", "p.yaml: Found no list of cases."],
  ])("refuses %s with 2", async (_, yaml, message) => {
    const { code, printed, told } = await runTest({ "p.yaml": yaml });
    expect({ code, printed }).toEqual({ code: 2, printed: "" });
    expect(told.join("\n")).toContain(message);
  });

  test("exits with 2 without a file and with one that is not there, and with 78 without a valid configuration", async () => {
    expect((await runTest({})).code).toBe(2);
    expect((await runTest({}, "nowhere.yaml")).code).toBe(2);
    const broken = {
      "proxy.config.json": '{ "rules": [{ "to": ["a:0"], "deny": true }] }',
      "p.yaml": "- → a:1: deny\n",
    };
    expect((await runTest(broken)).code).toBe(78);
  });
});
