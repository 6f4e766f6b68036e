import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { needs } from "../../support/needs.ts";
import { runProgram } from "../../support/program.ts";

async function print(...argv: string[]) {
  const io = createFakeIo();
  expect(await runCli(argv, io)).toBe(0);
  return io.printed();
}

/** The commands that help lists. */
async function listCommands() {
  const listed = (await print("--help")).split("EXIT CODES")[0] ?? "";
  return [...listed.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name = ""]) => name);
}

describe("penstock man", () => {
  test("has every command with every flag of its help", async () => {
    const page = (await print("man")).replaceAll(String.raw`\-`, "-");
    const names = await listCommands();
    expect(names.length).toBeGreaterThan(20);
    for (const name of names) {
      const part = page.split(`.SS ${name}\n`)[1]?.split(/^\.S[SH] /m)[0] ?? "";
      const flags = [...(await print(name, "--help")).matchAll(/^ +(?:-\w, )?(--[a-z-]+)/gm)].map(
        ([, flag = ""]) => flag,
      );
      const own = flags.filter((flag) => !["--help", "--quiet", "--verbose"].includes(flag));
      for (const flag of own) expect(part).toContain(flag);
    }
    for (const title of ["SIGNALS", "EXIT STATUS", "FILES", "ENVIRONMENT", "EXAMPLES"])
      expect(page).toContain(`.SH ${title}\n`);
    expect(page).not.toContain("__complete");
  });

  needs("mandoc")("is a page that mandoc finds nothing wrong with", async () => {
    const folder = await mkdtemp(join(tmpdir(), "penstock-man-"));
    try {
      await Bun.write(join(folder, "penstock.1"), await print("man"));
      const { stdout } = await runProgram(["mandoc", "-T", "lint", join(folder, "penstock.1")]);
      // Without a date two builds give the same page. A command line of an example may be long.
      const told = stdout.split("\n").filter((line) => line !== "" && !/missing date|longer than 80 bytes/.test(line));
      expect(told).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

test("docs/cli.md is what the commands give: run `bun run docs` when it is not", async () => {
  const strip = (text: string) => text.replaceAll(/\\|\s+/g, " ").replaceAll(/ +/g, " ");
  const committed = await Bun.file(join(import.meta.dir, "../../../docs/cli.md")).text();
  expect(strip(committed)).toBe(strip(await print("man", "--markdown")));
});

test("every command has --json, or says why there is none", async () => {
  // They write a file that is asked for: a configuration, JSON, types.
  const files = ["init", "schema", "types"];
  for (const name of (await listCommands()).filter((each) => !files.includes(each))) {
    const io = createFakeIo();
    await runCli([name, "--json=x"], io);
    expect(io.told.join("\n")).toMatch(/--json takes no value|There is no JSON: it/);
  }
});
