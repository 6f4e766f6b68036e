import { expect, test } from "bun:test";
import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { runProgram } from "../../support/program.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

// In a process of its own: it sets a deadline for the whole process.
const main = `${import.meta.dir}/../../../src/main.ts`;
const ask = (cwd: string, ...argv: string[]) =>
  runProgram([process.execPath, main, "__complete", ...argv, "--within", "20000"], { cwd });

test("the names of a configuration are completed, those of a part that is invalid, too", async () => {
  await using folder = await makeFolder({
    "proxy.config.json": {
      users: { file: "users" },
      upstreams: { corp: "ftp://wrong", "bad\u0007name": "http://a.example" },
      rules: [{ name: "no-mail", to: ["*:25"], deny: true }, { to: [] }],
    },
    users: "# comment: x\nann:hash\nben:hash\n",
  });
  const listed = await Promise.all(
    ["user", "rule", "route"].map(async (kind) => (await ask(folder.path, kind)).stdout),
  );
  expect(listed).toEqual(["=ann\n=ben\n", "=no-mail\n=rule-2\n=default\n", "=direct\n=corp\n"]);
});

test("a configuration that never gives its turn back, or is none, is completed with nothing in silence", async () => {
  await using folder = await makeFolder({
    "proxy.config.js": "console.log('=x'.slice(1)); for (;;);\n",
    "b.json": "{",
  });
  const endless = await runProgram([process.execPath, main, "__complete", "rule", "--within", "1000"], {
    cwd: folder.path,
  });
  expect(endless).toMatchObject({ stdout: "x\n", stderr: "" });
  expect(endless.code).not.toBe(0);
  expect(await ask(folder.path, "upstream", "--config", "b.json")).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("the command for completions is in no list", async () => {
  const io = createFakeIo();
  await runCli(["--help"], io);
  await runCli(["man"], io);
  expect(io.printed()).not.toContain("__complete");
  expect(await runCli(["__complet"], io)).toBe(2);
  expect(io.told[0]).not.toContain("Did you mean");
});
