import { expect, test } from "bun:test";
import { OPERATIONS_FILE } from "../../support/write-operations-reference.ts";
import { listOperations, readOpenApi } from "../../support/sidecar-operations.ts";

/** For the page itself, and for the process that takes over: no operator asks for them. */
const own: ReadonlySet<string> = new Set(["GET /page/{name}", "POST /drain/successor"]);

test("docs/operations.md has every path of the sidecar, with what a token must be allowed to do", async () => {
  const text = await Bun.file(OPERATIONS_FILE).text();
  const section = text.slice(text.indexOf("\n## Paths of the sidecar\n"));
  const table = section.slice(0, section.indexOf("\n## ", 1));
  const told = [...table.matchAll(/^\| `(\w+ \/[^`?]*)[^|]*\|[^|]*\| *(\w*) *\|$/gm)].map(
    ([, name = "", may]) => [name, may] as const,
  );
  const operations = listOperations(await readOpenApi()).filter(([name]) => !own.has(name));
  // Names of parameters are in capitals there.
  const nameOf = (name: string): string => name.replaceAll(/\{(\w+)\}/g, (_, part: string) => part.toUpperCase());
  expect(told.map(([name]) => name).toSorted()).toEqual(operations.map(([name]) => nameOf(name)).toSorted());
  for (const [name, operation] of operations) {
    const { security } = operation as typeof operation & { security?: readonly { token: readonly string[] }[] };
    const may = security === undefined ? "" : (security[0]?.token[0] ?? "any");
    expect([name, told.find(([each]) => each === nameOf(name))?.[1]]).toEqual([name, may]);
  }
});
