import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const testFolder = join(import.meta.dir, "../..");

/** Pages with tables whose last column names a test, and how many rows there are at least. */
const pages = [
  ["docs/http.md", 40],
  ["SECURITY.md", 12],
] as const;

describe("a table of promises", () => {
  test.each(pages)("in %s names tests that there are", (page, least) => {
    const text = readFileSync(join(testFolder, "..", page), "utf8");
    const rows = [...text.matchAll(/\| `([^`]+)`(?:: ([^|]+?))? *\|$/gm)];
    expect(rows.length).toBeGreaterThan(least);
    for (const [, file = "", name] of rows) {
      const path = join(testFolder, file.includes("/") ? file : `scenario/${file}.test.ts`);
      expect(existsSync(path) ? "" : `${path} is not there`).toBe("");
      if (name !== undefined) expect(readFileSync(path, "utf8").includes(name) ? "" : `${file}: ${name}`).toBe("");
    }
  });
});
