import { describe, expect, test } from "bun:test";
import { runCli } from "../../../src/cli/run-cli.ts";
import { wantsColour } from "../../../src/cli/style.ts";
import { createFakeIo } from "../../support/fake-io.ts";

async function help(argv: string[], parts: Parameters<typeof createFakeIo>[0] = {}) {
  const io = createFakeIo(parts);
  expect(await runCli(argv, io)).toBe(0);
  return io.printed();
}

/** Command lines of examples are left whole, to be copied. */
const widthOf = (text: string) =>
  Math.max(...text.split("\n").map((line) => (line.startsWith("    penstock ") ? 0 : Bun.stringWidth(line))));

describe("help", () => {
  test.each<[string, Parameters<typeof createFakeIo>[0], number]>([
    ["80 columns where nobody says how many there are", {}, 80],
    ["the columns of the terminal", { terminal: true, columns: 100 }, 100],
    ["COLUMNS rather than those of the terminal", { columns: 100, variables: { COLUMNS: "60" } }, 60],
    ["the columns of the terminal where COLUMNS is none", { columns: 70, variables: { COLUMNS: "wide" } }, 70],
    ["little more than 30 columns where there are fewer", { columns: 3 }, 45],
  ])("is wrapped at %s", async (_, parts, width) => {
    for (const argv of [["--help"], ["serve", "--help"], ["tunnels", "-h"]]) {
      const text = await help(argv, parts);
      expect(widthOf(text)).toBeLessThanOrEqual(width);
      expect(widthOf(text)).toBeGreaterThan(width / 2);
    }
  });

  test("says everything in a narrow window, too", async () => {
    const words = async (columns: number) => (await help(["explain", "--help"], { columns })).split(/\s+/);
    expect(await words(40)).toEqual(await words(200));
  });

  test("has an example of every command, each of that command", async () => {
    const listed = [...(await help(["--help"])).matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name = ""]) => name);
    expect(listed).toContain("approvals");
    for (const name of listed) {
      const [, examples = ""] = (await help([name, "--help"])).split("\nEXAMPLES\n");
      expect([name, examples]).toEqual([
        name,
        expect.stringMatching(new RegExp(`^ {4}.*\\bpenstock${name === "serve" ? "" : ` ${name}`}\\b`, "m")),
      ]);
    }
  });

  test("groups the commands and says what exit codes mean", async () => {
    const text = await help(["--help"]);
    for (const title of ["RUN A PROXY", "SET IT UP", "WATCH IT", "EXIT CODES"]) expect(text).toContain(`\n${title}\n`);
    expect(text).toMatch(/^ +78 +The configuration cannot be used/m);
  });

  test("is plain where nobody sees colours", async () => {
    expect(await help(["serve", "--help"])).not.toContain("\u001b");
    expect(await help(["serve", "--help"], { variables: { FORCE_COLOR: "1" } })).toContain("\u001b[36m");
  });
});

describe("colours", () => {
  test.each<[boolean, Record<string, string>, string]>([
    [true, {}, "all"],
    [false, {}, "plain"],
    [true, { NO_COLOR: "1" }, "none"],
    [true, { NO_COLOR: "" }, "all"],
    [true, { TERM: "dumb" }, "plain"],
    [false, { FORCE_COLOR: "1" }, "all"],
    [true, { FORCE_COLOR: "1", NO_COLOR: "1" }, "all"],
    [true, { FORCE_COLOR: "0" }, "none"],
    [false, { FORCE_COLOR: "false" }, "plain"],
    [false, { FORCE_COLOR: "" }, "plain"],
  ])("on a terminal (%p) with %j are %s", (terminal, variables, wanted) => {
    expect(wantsColour({ terminal, variables })).toBe(wanted as ReturnType<typeof wantsColour>);
  });
});

describe("messages", () => {
  const broken = { folder: "/nonexistent", variables: { PENSTOCK_TIMEOUTS_IDLE: "x" } };

  test("with --json are one line of JSON, with the exit code", async () => {
    const io = createFakeIo(broken);
    expect(await runCli(["explain", "example.org", "--json"], io)).toBe(78);
    expect(io.told).toHaveLength(1);
    expect(JSON.parse(io.told[0] ?? "")).toMatchObject({ exitCode: 78, error: "configuration" });
    expect(io.told[0]).toContain("timeouts.idle");
    expect(io.printed()).toBe("");
  });

  test("about the command line are JSON as well", async () => {
    const io = createFakeIo();
    expect(await runCli(["explain", "--json", "--usr", "x"], io)).toBe(2);
    expect(JSON.parse(io.told.join("\n"))).toEqual({
      exitCode: 2,
      error: "usage",
      messages: ['Unknown flag "--usr". Did you mean "--user"?', 'Run "penstock explain --help" to see what there is.'],
    });
  });

  test("are left out with --quiet, unless the command fails", async () => {
    const done = createFakeIo();
    expect(await runCli(["check", "--quiet"], done)).toBe(0);
    expect(done.told).toEqual([]);
    expect(done.printed()).not.toBe("");
    const failed = createFakeIo(broken);
    expect(await runCli(["check", "-q"], failed)).toBe(78);
    expect(failed.told[0]).toBe("Cannot use the configuration:");
  });

  test("say with --verbose which configuration is read", async () => {
    const io = createFakeIo();
    expect(await runCli(["check", "-v"], io)).toBe(0);
    expect(io.told[0]).toBe("No configuration file: the defaults hold.");
    // It is about the messages of this command, and changes no setting.
    expect(JSON.parse(io.printed())).toMatchObject({ log: { level: "info" } });
  });

  test("cannot be both fewer and more", async () => {
    const io = createFakeIo();
    expect(await runCli(["check", "-q", "-v"], io)).toBe(2);
    expect(io.told[0]).toBe("Found --quiet and --verbose. Leave one of them out.");
  });
});
