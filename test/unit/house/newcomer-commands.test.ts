import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../../package.json" with { type: "json" };

const readme = readFileSync(join(import.meta.dir, "../../../README.md"), "utf8");
const scripts: Readonly<Record<string, string>> = manifest.scripts;

test("what README has newcomers run in a fresh checkout installs the dependencies first", () => {
  const names = new Set(Array.from(readme.matchAll(/npx -y bun@[\d.]+ run (\w+)/g), ([, name = ""]) => name));
  expect([...names].sort()).toEqual(["build", "start", "test"]);
  for (const name of names) expect(scripts[name]).toStartWith("bun install --frozen-lockfile --silent && ");
});
