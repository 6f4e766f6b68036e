import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../../package.json" with { type: "json" };
import { listPages } from "../../support/documentation.ts";

const root = join(import.meta.dir, "../../..");
const commands = listPages().flatMap((page) =>
  Array.from(readFileSync(join(root, page), "utf8").matchAll(/npx -y bun@(\S+) run (\w+)/g), ([, version, script]) => ({
    version,
    script,
  })),
);

describe("the commands for a checkout in which nothing is installed", () => {
  test("are there", () => {
    expect(new Set(commands.map(({ script }) => script))).toEqual(new Set(["start", "build", "test"]));
  });

  test("install the packages first, and take the Bun of the project", () => {
    for (const { version, script } of commands) {
      expect(version).toBe(manifest.devDependencies.bun);
      expect(Object.entries(manifest.scripts).find(([name]) => name === script)?.[1]).toStartWith(
        "bun install --frozen-lockfile --silent && ",
      );
    }
  });
});
