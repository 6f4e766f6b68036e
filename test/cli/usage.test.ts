import { describe, expect, test } from "bun:test";
import manifest from "../../package.json";
import { runExecutable } from "../support/executable.ts";
import { makeFolder } from "../support/temporary-folder.ts";

async function run(args: readonly string[], env: Record<string, string> = {}) {
  await using folder = await makeFolder();
  return await runExecutable(args, { cwd: folder.path, env });
}

/** What is wrong on the command line, and what the answer has to say. */
const wrong: { args: string[]; says: string }[] = [
  { args: ["--lisen", "127.0.0.1:0"], says: 'Unknown flag "--lisen". Did you mean "--listen"?' },
  { args: ["serve", "--prot", "9090"], says: 'Unknown flag "--prot".' },
  { args: ["check", "--confg=x"], says: 'Unknown flag "--confg". Did you mean "--config"?' },
  { args: ["--listen"], says: "--listen needs a value" },
  { args: ["--listen="], says: "--listen needs a value" },
  { args: ["--config", "--listen", "127.0.0.1:0"], says: "--config needs a value" },
  { args: ["--upstream", "http://a:1", "--upstream", "http://b:1"], says: "Found --upstream twice. Give it once." },
  { args: ["serv"], says: 'Unknown command "serv". Did you mean "serve"?' },
  { args: ["constructor"], says: 'Unknown command "constructor".' },
  { args: ["__proto__"], says: 'Unknown command "__proto__".' },
  { args: ["hasOwnProperty"], says: 'Unknown command "hasOwnProperty".' },
  { args: ["--constructor"], says: 'Unknown flag "--constructor".' },
  { args: ["--__proto__=1"], says: "Unknown flag." },
  { args: ["serve", "extra"], says: 'Found an argument too many: "serve" takes none.' },
  { args: ["-x"], says: 'Unknown flag "-x".' },
  { args: ["explain"], says: "Missing TARGET." },
  { args: ["explain", "example.com:99999"], says: '"example.com:99999" is not a target' },
  { args: ["explain", "example.com", "--from", "10.0.0"], says: '"10.0.0" is not an IP address' },
  { args: ["passwd", "a:b"], says: "That is not a user name" },
];

describe("the executable's command line", () => {
  test.each(wrong)("$args is a usage error", async ({ args, says }) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(says);
  });

  test.each(["--help", "-h", "serve --help", "check -h"])("%s helps", async (line) => {
    const { code, stdout, stderr } = await run(line.split(" "));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("USAGE");
    expect(stdout).not.toContain("\u001b");
  });

  test("--help names every command", async () => {
    const { stdout } = await run(["--help"]);
    for (const command of ["serve", "check", "init", "explain", "passwd", "schema", "version"])
      expect(stdout).toMatch(new RegExp(`^ +${command} +[A-Z]`, "m"));
  });

  test.each([["version"], ["--version"]])("%s tells the version of the package", async (arg) => {
    const { code, stdout } = await run([arg]);
    expect(code).toBe(0);
    expect(stdout).toBe(`penstock ${manifest.version} (bun ${Bun.version}, ${process.platform} ${process.arch})\n`);
  });

  test("a variable of ours that means nothing is told, and is not the end", async () => {
    const { code, stderr } = await run(["check"], { PENSTOCK_LISTN: "127.0.0.1:0" });
    expect(code).toBe(0);
    expect(stderr).toContain("Warning: PENSTOCK_LISTN");
    expect(stderr).toContain("PENSTOCK_LISTEN");
  });
});
