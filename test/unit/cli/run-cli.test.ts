import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "penstock-cli-"));
});
afterAll(() => rm(root, { recursive: true }));

async function createFolder(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(root, "c-"));
  for (const [name, text] of Object.entries(files)) await Bun.write(join(folder, name), text);
  return folder;
}

describe("penstock --help", () => {
  test("lists every command on standard output and exits with 0", async () => {
    const io = createFakeIo();
    expect(await runCli(["--help"], io)).toBe(0);
    for (const name of ["serve", "check", "init", "explain", "passwd", "schema", "version"])
      expect(io.printed()).toMatch(new RegExp(`^ +${name} +\\w`, "m"));
    expect(io.told).toEqual([]);
  });

  test.each(["serve", "check", "init", "explain", "passwd", "schema", "version"])(
    "helps with %s, in plain text where nobody sees colours",
    async (name) => {
      const io = createFakeIo();
      expect(await runCli([name, "--help"], io)).toBe(0);
      expect(io.printed()).toContain(`USAGE penstock ${name}`);
      expect(io.printed()).toContain("-h, --help");
      expect(io.printed()).not.toContain("\u001b");
    },
  );
});

describe("penstock with wrong arguments", () => {
  test.each<[argv: string[], wrong: string, hint: string]>([
    [["constructor"], 'Unknown command "constructor".', 'Run "penstock --help" to see what there is.'],
    [
      ["--versoin"],
      'Unknown flag "--versoin". Did you mean "--version"?',
      'Run "penstock serve --help" to see what there is.',
    ],
    [["-V"], 'Unknown flag "-V". Did you mean "--version"?', 'Run "penstock serve --help" to see what there is.'],
    [["check", "--prot"], 'Unknown flag "--prot".', 'Run "penstock check --help" to see what there is.'],
    [
      ["--port", "3128"],
      'Unknown flag "--port". Did you mean --listen 127.0.0.1:3128?',
      'Run "penstock serve --help" to see what there is.',
    ],
    [
      ["check", "-c", "x.ts"],
      'Unknown flag "-c". Did you mean --config FILE?',
      'Run "penstock check --help" to see what there is.',
    ],
    [
      ["3128"],
      'Unknown command "3128". Did you mean --listen 127.0.0.1:3128?',
      'Run "penstock --help" to see what there is.',
    ],
    [
      ["passwd", "alice", "hunter2"],
      'Found an argument too many: "passwd" takes only NAME.',
      'Run "penstock passwd --help" to see what there is.',
    ],
    [["passwd", "--file", "users"], "--file needs the NAME of a user.", ""],
  ])("%j tells what is wrong and exits with 2", async (argv, wrong, hint) => {
    const io = createFakeIo();
    expect(await runCli(argv, io)).toBe(2);
    expect(io.told).toEqual(hint === "" ? [wrong] : [wrong, hint]);
    expect(io.printed()).toBe("");
  });
});

describe("penstock version", () => {
  test("prints version, runtime and platform", async () => {
    const io = createFakeIo();
    expect(await runCli(["version"], io)).toBe(0);
    expect(io.printed()).toMatch(/^penstock \d+\.\d+\.\d+ \(bun \d+\.\d+\.\d+, \w+ \w+\)\n$/);
  });
});

describe("penstock check", () => {
  test("prints what holds, secrets redacted", async () => {
    const folder = await createFolder({ "proxy.config.json": '{"sidecar":{"port":1,"token":"hunter2"}}' });
    const io = createFakeIo({ folder });
    expect(await runCli(["check", "--upstream", "http://u:hunter2@h:1"], io)).toBe(0);
    expect(JSON.parse(io.printed())).toMatchObject({
      sidecar: { token: "[redacted]" },
      upstream: "http://[redacted]@h:1",
      default: "upstream",
    });
    expect(io.printed()).not.toContain("hunter2");
    expect(io.told).toEqual([`${folder}/proxy.config.json is valid.`]);
  });

  test("tells all problems and exits with 78", async () => {
    const folder = await createFolder({ "proxy.config.json": '{"open":1,"lisen":2}' });
    const io = createFakeIo({ folder });
    expect(await runCli(["check"], io)).toBe(78);
    expect(io.printed()).toBe("");
    expect(io.told).toEqual([
      `Cannot use ${folder}/proxy.config.json:`,
      `  ${folder}/proxy.config.json:1:2: open: Found 1. Write true or false.`,
      '    1 | {"open":1,"…":…}',
      "      |  ^^^^^^",
      `  ${folder}/proxy.config.json:1:11: lisen: There is no such setting. Did you mean "listen"?`,
      '    1 | {"open":…,"lisen":…}',
      "      |           ^^^^^^^",
    ]);
  });

  test("takes every flag into account", async () => {
    const io = createFakeIo({ folder: await createFolder() });
    const argv = ["check", "--listen", "0.0.0.0:1", "--listen", "[::1]:2", "--user", "a:b", "--sidecar", "9"];
    expect(await runCli(argv, io)).toBe(0);
    expect(JSON.parse(io.printed())).toMatchObject({
      listen: ["0.0.0.0:1", "[::1]:2"],
      users: [{ name: "a", password: "[redacted]" }],
      sidecar: { host: "127.0.0.1", port: 9 },
    });
  });

  test("says where a value came from that is not from the file", async () => {
    const io = createFakeIo({ folder: await createFolder(), variables: { PENSTOCK_TIMEOUTS_IDLE: "x" } });
    expect(await runCli(["check", "--listen", "0.0.0.0:1"], io)).toBe(78);
    expect(io.told[0]).toBe("Cannot use the configuration:");
    expect(io.told.slice(1).map((line) => line.split(": ")[0])).toEqual([
      "  timeouts.idle (from PENSTOCK_TIMEOUTS_IDLE)",
      "  listen[0] (from --listen)",
    ]);
  });
});

describe("penstock init", () => {
  test("writes a file that is valid, and never over another one", async () => {
    const folder = await createFolder();
    const io = createFakeIo({ folder });
    expect(await runCli(["init"], io)).toBe(0);
    expect(await runCli(["check"], io)).toBe(0);
    const before = await Bun.file(join(folder, "proxy.config.ts")).text();
    expect(await runCli(["init"], io)).toBe(1);
    expect(io.told.at(-1)).toStartWith("Cannot write proxy.config.ts: proxy.config.ts is there already.");
    expect(await Bun.file(join(folder, "proxy.config.ts")).text()).toBe(before);
  });

  test("does not put a second configuration beside one of another kind", async () => {
    const io = createFakeIo({ folder: await createFolder({ "proxy.config.toml": "" }) });
    expect(await runCli(["init"], io)).toBe(1);
    expect(io.told[0]).toContain("proxy.config.toml is there already");
  });

  test("says why it cannot write", async () => {
    const io = createFakeIo({ folder: "/nonexistent" });
    expect(await runCli(["init"], io)).toBe(1);
    expect(io.told).toEqual(["Cannot write proxy.config.ts: there is no such file or folder."]);
  });
});

describe("penstock schema", () => {
  test("prints a JSON Schema", async () => {
    const io = createFakeIo();
    expect(await runCli(["schema"], io)).toBe(0);
    expect(JSON.parse(io.printed())).toMatchObject({ type: "object", additionalProperties: false });
  });

  test("prints the reference with --markdown", async () => {
    const io = createFakeIo();
    expect(await runCli(["schema", "--markdown"], io)).toBe(0);
    expect(io.printed()).toStartWith("# Configuration\n");
  });
});

describe("penstock passwd", () => {
  test("asks twice and prints a line for the file, which verifies", async () => {
    const io = createFakeIo({ passwords: ["correct horse", "correct horse"] });
    expect(await runCli(["passwd", "alice"], io)).toBe(0);
    const [name, hash = ""] = io.printed().trimEnd().split(":");
    expect(name).toBe("alice");
    expect(hash).toStartWith("$argon2id$");
    expect(await Bun.password.verify("correct horse", hash)).toBe(true);
  });

  test("asks once where no person types, and prints the hash alone without a name", async () => {
    const io = createFakeIo({ passwords: ["x"], interactive: false });
    expect(await runCli(["passwd"], io)).toBe(0);
    expect(io.printed()).toMatch(/^\$argon2id\$\S+\n$/);
  });

  test.each([
    ["two passwords that differ", ["a", "b"], "The two passwords differ."],
    ["an empty password", [""], "The password is empty."],
    ["a password with a line break", ["a\nb"], "The password has control characters"],
    ["none", [undefined], "There is no password."],
  ])("refuses %s", async (_, passwords, message) => {
    const io = createFakeIo({ passwords });
    expect(await runCli(["passwd", "alice"], io)).toBe(1);
    expect(io.told[0]).toStartWith(message);
    expect(io.printed()).toBe("");
  });

  test.each(["a:b", "a\u0007", "#a", " a"])("refuses the name %j before it asks", async (name) => {
    const io = createFakeIo();
    expect(await runCli(["passwd", name], io)).toBe(2);
    expect(io.told[0]).toMatch(/not a user name|cannot begin with that name/);
    expect(io.told[0]).not.toContain("a:b");
  });

  test("puts the line into a file, in the place of the one that is there", async () => {
    const folder = await createFolder({ users: "alice:old\nben:x\n" });
    const io = createFakeIo({ folder, passwords: ["correct horse", "correct horse"] });
    expect(await runCli(["passwd", "--file", "users", "alice"], io)).toBe(0);
    expect(io.told).toEqual(['Replaced the line of "alice" in users.']);
    expect(io.printed()).toBe("");
    const [line = "", rest] = (await Bun.file(join(folder, "users")).text()).split("\n");
    expect(await Bun.password.verify("correct horse", line.slice("alice:".length))).toBe(true);
    expect(rest).toBe("ben:x");
  });
});

describe("penstock check, of more problems than anybody reads", () => {
  test("tells some, and how many more there are", async () => {
    const folder = await createFolder({ "proxy.config.json": JSON.stringify({ clients: Array(1000).fill("x") }) });
    const io = createFakeIo({ folder });
    expect(await runCli(["check"], io)).toBe(78);
    // 200 of them, with the lines of the first 40.
    expect(io.told).toHaveLength(202 + 2 * 40);
    expect(io.told.at(-1)).toBe("  and 800 more.");
  });
});

describe("penstock explain", () => {
  const config = JSON.stringify({
    users: [{ name: "ci", password: "x" }],
    upstreams: { corp: "socks5h://10.0.0.1" },
    rules: [
      { name: "no-mail", to: ["*:25"], deny: true },
      { name: "registry", users: ["ci"], to: ["*.npmjs.org"], via: "corp", sni: "match" },
      { name: "lab", from: ["192.0.2.0/24"], to: ["10.0.0.0/8"], allowPrivate: true },
    ],
  });

  async function explain(...argv: string[]) {
    const io = createFakeIo({ folder: await createFolder({ "proxy.config.json": config }) });
    return { code: await runCli(["explain", ...argv], io), lines: io.printed().trimEnd().split("\n"), told: io.told };
  }

  test("says which rule denies, with the words of the refusal", async () => {
    expect(await explain("example.org:25", "--as", "ci")).toEqual({
      code: 1,
      told: [],
      lines: [
        "target:  example.org:25",
        "client:  127.0.0.1 as ci",
        "rule:    no-mail",
        "verdict: refused with 403",
        "reason:  http_request_denied; denied_by_rule (rule no-mail)",
        "meaning: A rule of this proxy denies the target.",
        "rules:   1. yes: no-mail (deny): decides",
        '         2. no: registry (via corp; only tls; SNI as the target): "to" does not have example.org',
        '         3. no: lab (allow; private addresses): "from" does not have 127.0.0.1',
        "         default (direct): not reached",
      ],
    });
  });

  test("says which upstream a name is left to", async () => {
    expect((await explain("Registry.npmjs.org.:443", "--as", "ci")).lines).toEqual([
      "target:  registry.npmjs.org:443",
      "client:  127.0.0.1 as ci",
      "rule:    registry",
      "route:   corp (socks5h://10.0.0.1:1080)",
      "allows:  only tls; SNI as the target",
      "address: left to the upstream to resolve",
      "verdict: allowed",
      'rules:   1. no: no-mail (deny): "to" has registry.npmjs.org only with port 25',
      "         2. yes: registry (via corp; only tls; SNI as the target): decides; then judges the first bytes inside the tunnel",
      '         3. no: lab (allow; private addresses): "from" does not have 127.0.0.1',
      "         default (direct): not reached",
    ]);
  });

  test("says what class an address is of, and what lifts the refusal", async () => {
    expect((await explain("10.1.2.3", "--as", "ci")).lines.slice(2)).toEqual([
      "rule:    default",
      "route:   direct",
      "address: 10.1.2.3 (private): refused, address_prohibited",
      "verdict: refused with 403",
      "reason:  destination_ip_prohibited; address_prohibited (10.1.2.3 is private)",
      "meaning: The address of the target is not one that this proxy dials.",
      'allow:   { to: ["10.1.2.3:443"], allowPrivate: true } before the other rules',
      'rules:   1. no: no-mail (deny): "to" has 10.1.2.3 only with port 25',
      '         2. no: registry (via corp; only tls; SNI as the target): "to" does not have 10.1.2.3',
      '         3. no: lab (allow; private addresses): "from" does not have 127.0.0.1',
      "         default (direct): decides",
    ]);
    expect((await explain("10.1.2.3", "--as", "ci", "--from", "192.0.2.7")).lines.slice(1, -4)).toEqual([
      "client:  192.0.2.7 as ci",
      "rule:    lab",
      "route:   direct",
      "allows:  private addresses",
      "address: 10.1.2.3 (private)",
      "verdict: allowed",
    ]);
  });

  test("says that somebody without credentials would be asked for them", async () => {
    expect((await explain("192.0.2.1")).lines[2]).toStartWith("note:    without credentials the answer is 407");
  });

  test.each([
    [["a b"], '"a b" is not a target: a host has only letters'],
    [["a:0"], '"a:0" is not a target: a port is a decimal number'],
    [["127.1"], '"127.1" is not a target: an IPv4 address is written as four decimal numbers'],
    [["example.org", "--from", "here"], '"here" is not an IP address.'],
  ])("refuses %j with 2", async (argv, message) => {
    const { code, told } = await explain(...argv);
    expect(code).toBe(2);
    expect(told[0]).toStartWith(message);
  });
});
