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
  expect(reference).toContain('| `listen[].tls.acme.dns.wait` | text | `"30s"` |');
  expect(reference).toContain("| `listen[].tls.acme.dns.add` | function | required |");
  expect(reference).toContain("| `rules[].via` | text or list of text or function |");
});

test("every time limit has a variable", () => {
  const reference = writeReference();
  const limits = Array.from(reference.matchAll(/^\| `(timeouts\.\w+)` \|/gm), ([, path]) => path);
  const read = Array.from(
    reference.matchAll(/^\| `PENSTOCK_TIMEOUTS_\w+` \| `(timeouts\.\w+)` \|/gm),
    ([, path]) => path,
  );
  expect(limits.length).toBeGreaterThan(5);
  expect(read).toEqual(limits);
});

/** Attributes of OpenTelemetry that are written as settings are. */
const attributes: ReadonlySet<string> = new Set(["dns.question.name", "dns.answers"]);

/** Every setting, and every map that settings are in, as `limits.perUser` and `rules[].to`. */
function listSettings(): ReadonlySet<string> {
  const reference = writeReference();
  const rows = Array.from(reference.matchAll(/^(?:\| |## )`([^`]+)`(?: \||$)/gm), ([, path = ""]) => path);
  return new Set(
    rows.flatMap((path) => {
      const names = path.replaceAll("[]", "").split(".");
      return names.map((_, at) => names.slice(0, at + 1).join("."));
    }),
  );
}

test("the documents and the schema name no setting that there is not", async () => {
  const settings = listSettings();
  const first = new Set(Array.from(settings, (path) => path.split(".")[0]));
  const root = `${import.meta.dir}/../../../`;
  const files = ["README.md", "SECURITY.md", ...new Bun.Glob("docs/*.md").scanSync(root)];
  expect(files.length).toBeGreaterThan(20);
  const unknown: string[] = [];
  for (const file of files)
    for (const [, written = ""] of (await Bun.file(root + file).text()).matchAll(
      /[`"]([a-z][A-Za-z]+(?:\[\w*\])?(?:\.[A-Za-z]\w*(?:\[\w*\])?)+)[`"]/g,
    )) {
      const path = written.replaceAll(/\[\w*\]/g, "");
      const named = [...settings].some((known) => known.replaceAll("NAME", "x") === path.replaceAll("NAME", "x"));
      const isFile = /\.(?:ts|js|mjs|json|ya?ml|toml|txt|md|org|example|sock|pem|pcapng|htpasswd)$/.test(path);
      if (first.has(path.split(".")[0]) && !named && !isFile && !attributes.has(path))
        unknown.push(`${file}: ${written}`);
    }
  expect(unknown).toEqual([]);
});
