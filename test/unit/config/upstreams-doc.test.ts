import { expect, test } from "bun:test";
import { load } from "js-yaml";
import { join } from "node:path";
import { checkConfig } from "../../../src/config/check.ts";

test("every configuration in YAML in docs/upstreams.md is valid; those in TypeScript run in test/client", async () => {
  const text = await Bun.file(join(import.meta.dir, "../../../docs/upstreams.md")).text();
  const blocks = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, block = ""]) => block);
  expect(blocks.length).toBeGreaterThan(0);
  for (const block of blocks) expect(checkConfig(load(block))).toMatchObject({ ok: true });
});
