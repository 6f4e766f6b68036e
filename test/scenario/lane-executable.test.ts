import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = new URL("../..", import.meta.url).pathname;

test("a lane runs inside an executable, from a folder without the sources", async () => {
  const folder = await mkdtemp(join(tmpdir(), "penstock-lane-"));
  try {
    const outfile = join(folder, "carry");
    const build = Bun.spawn(
      [
        process.execPath,
        "build",
        "--compile",
        "--entry-naming=[name].[ext]",
        "--no-compile-autoload-bunfig",
        "--no-compile-autoload-dotenv",
        "test/fixtures/lane/carry-one-tunnel.ts",
        "src/net/splice/lane-worker.ts",
        "--outfile",
        outfile,
      ],
      { cwd: root, stdout: "ignore", stderr: "pipe" },
    );
    expect([await build.exited, await build.stderr.text()]).toEqual([0, ""]);
    const run = Bun.spawn([outfile], { cwd: folder, stdout: "pipe", stderr: "pipe" });
    const [output, problems] = [await run.stdout.text(), await run.stderr.text()];
    expect(problems).toBe("");
    expect(JSON.parse(output)).toEqual({ end: "closed", text: "through a lane", bytes: { up: 14, down: 0 } });
    expect(await run.exited).toBe(0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
