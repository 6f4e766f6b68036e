import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const testFolder = join(import.meta.dir, "../..");
const page = readFileSync(join(testFolder, "../docs/http.md"), "utf8");

test("docs/http.md names tests that there are", () => {
  const rows = [...page.matchAll(/\| `([^`]+)`(?:: ([^|]+?))? *\|$/gm)];
  expect(rows.length).toBeGreaterThan(40);
  for (const [, file = "", name] of rows) {
    const path = join(testFolder, file.includes("/") ? file : `scenario/${file}.test.ts`);
    expect(existsSync(path) ? "" : `${path} is not there`).toBe("");
    if (name !== undefined) expect(readFileSync(path, "utf8").includes(name) ? "" : `${file}: ${name}`).toBe("");
  }
});
