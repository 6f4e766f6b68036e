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

const run = pages.filter((page) =>
  readCommandLines(page).some(({ text }) => !notRun.some(({ line }) => line.test(text))),
);

const begun = new Map<string, Promise<LineResult[]>>();

function begin(page: string): Promise<LineResult[]> {
  const results = runInNamespace<LineResult[]>(runner, ["-n", "-m", "-p"], page);
  // The test of this page is told, which may come later.
  results.catch(() => {});
  begun.set(page, results);
  return results;
}

/** The page that comes next runs meanwhile. A further try of a test runs its page again. */
async function takeResults(page: string): Promise<LineResult[]> {
  const results = begun.get(page) ?? begin(page);
  const next = run[run.indexOf(page) + 1];
  if (next !== undefined && !begun.has(next)) void begin(next);
  try {
    return await results;
  } finally {
    begun.delete(page);
  }
}

describe("a command line in the documentation", () => {
  for (const page of run) {
    withPrograms(
      `of ${page} runs as it is written, ends with the exit code that it should, and prints what the page shows`,
      async () => {
        const results = await takeResults(page);
        expect(results.length).toBeGreaterThan(0);
        expect(results.filter(({ code, expected, unseen }) => code !== expected || unseen.length > 0)).toEqual([]);
      },
      PAGE_MS,
    );
  }

  test("runs, where it is one of the proxy; only upgrades have a test of their own", () => {
    const left = lines.map(({ text }) => text).filter((text) => notRun.some(({ line }) => line.test(text)));
    expect(left.filter((text) => text.startsWith("penstock ") && !text.startsWith("penstock upgrade "))).toEqual([]);
  });

  test("shows its output in some places, and its exit code where a comment has one", () => {
    const shown = lines.filter(
      (line) => line.shown.length > 0 && !notRun.some(({ line: left }) => left.test(line.text)),
    );
    expect(shown.length).toBeGreaterThanOrEqual(5);
    for (const { page, text } of lines) {
      const told = /#.*exit code (\d+)/.exec(text)?.[1];
      const fact = lineFacts.find((each) => (each.page ?? page) === page && each.line.test(text));
      if (told !== undefined) expect({ text, code: fact?.code ?? 0 }).toEqual({ text, code: Number(told) });
    }
  });

  test("has a reason where it does not run or does not end with 0, and no reason is left over", () => {
    const unused = [...notRun, ...lineFacts].filter(({ line }) => !lines.some(({ text }) => line.test(text)));
    expect(unused).toEqual([]);
    expect(lineFacts.filter(({ code, because }) => (code ?? 0) !== 0 && because === undefined)).toEqual([]);
  });
});
