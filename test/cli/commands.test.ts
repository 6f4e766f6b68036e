import { describe, expect, test } from "bun:test";
import { askInVain } from "../support/ask-tunnel.ts";
import { runExecutable, startExecutable } from "../support/executable.ts";
import { findExecutable } from "../support/build-executable.ts";
import { readMessage, runProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const faulty = {
  listen: ["0.0.0.0:0", "here"],
  lisen: [],
  timeouts: { idle: "10 parsecs" },
  upstreams: { a: "ftp://u:hunter2@proxy.example" },
  rules: [
    { name: "x", via: "corp" },
    { to: ["*:25"], deny: true, allow: true },
  ],
};

/** Where the faults are, and a piece of what is said of each. */
const faults: [string, string][] = [
  ["listen[1]", '"here"'],
  ["lisen", 'Did you mean "listen"?'],
  ["timeouts.idle", '"10 parsecs" is not a duration'],
  ["upstreams.a", '"ftp"'],
  ["rules[0].via", 'There is no upstream "corp"'],
  ["rules[1].allow", "The rule denies"],
];

describe("penstock check", () => {
  test("prints what holds, secrets redacted", async () => {
    await using folder = await makeFolder({
      "proxy.config.json": {
        users: [{ name: "ann", password: "hunter2" }],
        upstreams: { corp: "http://edge:hunter3@proxy.example:3128" },
        sidecar: { port: 9080, token: "hunter4" },
      },
    });
    const { code, stdout, stderr } = await runExecutable(["check"], { cwd: folder.path });
    expect(code).toBe(0);
    expect(stderr).toBe(`${folder.path}/proxy.config.json is valid.\n`);
    expect(JSON.parse(stdout)).toMatchObject({ timeouts: { idle: "10m" }, default: "direct" });
    expect(stdout + stderr).not.toMatch(/hunter\d/);
  });

  test.each(["check", "serve"])("%s tells everything that is wrong at once and exits with 78", async (command) => {
    await using folder = await makeFolder({ "proxy.config.json": faulty });
    const { code, stdout, stderr } = await runExecutable([command], { cwd: folder.path });
    expect({ code, stdout }).toEqual({ code: 78, stdout: "" });
    const lines = stderr.split("\n").map(readMessage);
    expect(lines[0]).toBe(`Cannot use ${folder.path}/proxy.config.json:`);
    for (const [place, says] of faults) expect(lines.find((line) => line.includes(`: ${place}: `))).toContain(says);
    expect(stderr).not.toContain("hunter2");
  });

  test.each([
    [
      "proxy.config.ts",
      'import { defineConfig } from "penstock";\nexport default defineConfig({ listen: [ });\n',
      ":2:",
    ],
    ["proxy.config.ts", 'throw new Error("not today");\n', "not today"],
    ["proxy.config.ts", 'import x from "left-pad";\nexport default x;\n', "left-pad"],
    ["proxy.config.json", '{ "listen": [ }', ":1:"],
    ["proxy.config.yaml", "listen: [\n", "proxy.config.yaml"],
    ["proxy.config.toml", "listen = \n", "proxy.config.toml:"],
  ])("tells where %s cannot be read", async (file, text, says) => {
    await using folder = await makeFolder({ [file]: text });
    const { code, stderr } = await runExecutable(["check"], { cwd: folder.path });
    expect(code).toBe(78);
    expect(stderr).toContain(says);
    // Somebody's stack of frames would be no help.
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("lets flags go before variables, and variables before the file", async () => {
    await using folder = await makeFolder({
      "proxy.config.json": { listen: ["127.0.0.2:0"], timeouts: { idle: "1m", drain: "2m" }, default: "deny" },
    });
    const env = { PENSTOCK_LISTEN: "127.0.0.3:0,127.0.0.4:0", PENSTOCK_TIMEOUTS_IDLE: "3m" };
    const ask = async (args: string[], variables: Record<string, string>) => {
      const { stdout } = await runExecutable(["check", ...args], { cwd: folder.path, env: variables });
      return JSON.parse(stdout) as unknown;
    };
    expect(await ask([], {})).toMatchObject({ listen: ["127.0.0.2:0"], timeouts: { idle: "1m" } });
    expect(await ask([], env)).toMatchObject({
      listen: ["127.0.0.3:0", "127.0.0.4:0"],
      timeouts: { idle: "3m", drain: "2m", connect: "10s" },
      default: "deny",
    });
    expect(await ask(["--listen", "127.0.0.5:0"], env)).toMatchObject({
      listen: ["127.0.0.5:0"],
      timeouts: { idle: "3m" },
    });
    await using proxy = await startExecutable({ cwd: folder.path, args: ["--listen", "127.0.0.5:0"], env });
    expect(proxy.told.join("\n")).toContain(`Listening on 127.0.0.5:${proxy.port}.`);
    expect(proxy.told.join("\n")).not.toContain("127.0.0.3");
  });
});

describe("penstock init", () => {
  test("writes a file that check accepts, and never writes over one", async () => {
    await using folder = await makeFolder();
    const first = await runExecutable(["init"], { cwd: folder.path });
    expect(first.code).toBe(0);
    const written = await folder.read("proxy.config.ts");
    expect(written).toContain('import { defineConfig } from "penstock";');
    expect((await runExecutable(["check"], { cwd: folder.path })).code).toBe(0);
    await folder.write({ "proxy.config.ts": `${written}// mine\n` });
    const second = await runExecutable(["init"], { cwd: folder.path });
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("proxy.config.ts is there already");
    expect(await folder.read("proxy.config.ts")).toEndWith("// mine\n");
  });
});

describe("penstock explain", () => {
  test("says which rule, which way and which addresses", async () => {
    await using folder = await makeFolder({
      "proxy.config.json": {
        users: [{ name: "ci", password: "hunter2" }],
        upstreams: { corp: "http://edge:hunter3@127.0.0.1:3128" },
        rules: [
          { name: "no-mail", to: ["*:25"], deny: true },
          { name: "lab", users: ["ci"], to: ["127.0.0.0/8"], allowPrivate: true },
          { name: "parent", to: ["*.example"], via: "corp" },
        ],
      },
    });
    const explain = async (...args: string[]) => {
      const { code, stdout } = await runExecutable(["explain", ...args], { cwd: folder.path });
      expect(code).toBe(stdout.includes("verdict: refused") ? 1 : 0);
      expect(stdout).not.toMatch(/hunter\d/);
      return stdout;
    };
    const mail = await explain("mail.test:25");
    expect(mail).toMatch(/^rule: +no-mail$/m);
    expect(mail).toMatch(/^verdict: refused with 403$/m);
    const lab = await explain("127.0.0.1:22", "--as", "ci", "--from", "192.0.2.7");
    expect(lab).toMatch(/^client: +192\.0\.2\.7 as ci$/m);
    expect(lab).toMatch(/^rule: +lab$/m);
    expect(lab).toMatch(/^route: +direct$/m);
    const stranger = await explain("127.0.0.1:22", "--as", "bob");
    expect(stranger).toMatch(/^verdict: refused with 403$/m);
    expect(stranger).toContain("127.0.0.1 (loopback)");
    expect(await explain("registry.example")).toMatch(/^route: +corp/m);
  });
});

describe("penstock with its output in a pipe", () => {
  test("gives a reader that begins late every byte once", async () => {
    await using folder = await makeFolder();
    const whole = await runExecutable(["schema"], { cwd: folder.path });
    // More than a pipe holds.
    expect(whole.stdout.length).toBeGreaterThan(65_536);
    const late = await runProgram(["sh", "-c", '"$0" schema | { sleep 0.3; cat; }', await findExecutable()]);
    expect(late.stdout).toBe(whole.stdout);
  });
});

describe("penstock passwd", () => {
  test("prints a line for the file, of a piped password, that logs in", async () => {
    await using folder = await makeFolder({
      "proxy.config.json": { listen: ["127.0.0.1:0"], users: { file: "users" } },
    });
    const { code, stdout, stderr } = await runExecutable(["passwd", "ann"], {
      cwd: folder.path,
      input: "p@ss: wörd\n",
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^ann:\$argon2id\$[!-~]+\n$/);
    await folder.write({ users: stdout });
    await using proxy = await startExecutable({ cwd: folder.path });
    const ask = async (password: string) =>
      (await askInVain(proxy.port, "127.0.0.1:1", `ann:${password}`)).split(" ")[1];
    expect(await ask("p@ss: wörd")).toBe("403");
    expect(await ask("p@ss: word")).toBe("407");
  });

  test("prints nothing for an empty password", async () => {
    await using folder = await makeFolder();
    const { code, stdout } = await runExecutable(["passwd", "ann"], { cwd: folder.path, input: "\n" });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  });
});

describe("penstock schema", () => {
  test("prints a JSON Schema, or the reference for people", async () => {
    await using folder = await makeFolder();
    const { code, stdout } = await runExecutable(["schema"], { cwd: folder.path });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ type: "object", additionalProperties: false });
    const reference = await runExecutable(["schema", "--markdown"], { cwd: folder.path });
    expect(reference.stdout).toStartWith("# Configuration\n");
  });
});
