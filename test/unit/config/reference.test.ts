import { expect, test } from "bun:test";

import { writeReference } from "../../../src/config/reference.ts";

const committed = () => Bun.file(`${import.meta.dir}/../../../docs/configuration.md`).text();

test("docs/configuration.md is what the schema gives: run `bun run docs` when it is not", async () => {
  expect(await committed()).toBe(writeReference());
});

test("writeReference() has a row for every setting, with its type and default", () => {
  const reference = writeReference();
  expect(reference).toContain('| `timeouts.idle` | text | `"10m"` |');
  expect(reference).toContain("| `limits.perUser.connections` | number from 0 to 1000000 | `0` |");
  expect(reference).toContain("| `users[].password` | secret | required |");
  expect(reference).toContain("| `PENSTOCK_SIDECAR_TOKEN` | `sidecar.token` |");
});
