import { describe, expect, test } from "bun:test";
import { listCommandPages, readCommandLines } from "../support/documented-lines.ts";
import { lineFacts, notRun } from "../support/line-facts.ts";
import { needs } from "../support/needs.ts";
import { type LineResult, runner } from "../support/run-documentation.ts";
import { runInNamespace } from "../support/run-in-namespace.ts";

const withPrograms = needs("unshare", "ip", "mount", "curl", "certutil", "update-ca-certificates", "mandoc", "jq");
const pages = listCommandPages();
const lines = pages.flatMap(readCommandLines);

/** Milliseconds for the lines of a page, on a machine that does other things. */
const PAGE_MS = 300_000;

describe("a command line in the documentation", () => {
  for (const page of pages) {
    if (readCommandLines(page).every(({ text }) => notRun.some(({ line }) => line.test(text)))) continue;
    withPrograms(
      `of ${page} does what it says`,
      async () => {
        const results = await runInNamespace<LineResult[]>(runner, ["-n", "-m", "-p"], page);
        expect(results.length).toBeGreaterThan(0);
        expect(results.filter(({ code, expected }) => code !== expected)).toEqual([]);
      },
      PAGE_MS,
    );
  }

  test("runs, where it is one of the proxy; only upgrades have a test of their own", () => {
    const left = lines.filter(({ text }) => text.includes("penstock ") && notRun.some(({ line }) => line.test(text)));
    expect(
      left
        .map(({ text }) => text)
        .filter((text) => !/^(penstock upgrade|docker|systemctl|minisign|ssh-keygen|apt) /.test(text)),
    ).toEqual([]);
  });

  test("has a reason where it does not run or does not end with 0, and no reason is left over", () => {
    const unused = [...notRun, ...lineFacts].filter(({ line }) => !lines.some(({ text }) => line.test(text)));
    expect(unused).toEqual([]);
    expect(lineFacts.filter(({ code, because }) => (code ?? 0) !== 0 && because === undefined)).toEqual([]);
  });
});
