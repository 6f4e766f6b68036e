import { describe, expect, test } from "bun:test";
import { dirname, join, relative, resolve } from "node:path";

const proxy = resolve(import.meta.dir, "../../../src/proxy");

/** What each stage of a request may import of the data plane, besides `failure.ts`. No two of them lead to each other. */
const below: Readonly<Record<string, readonly string[]>> = {
  flow: [],
  trace: [],
  hook: [],
  policy: [],
  resolve: ["trace"],
  route: ["policy"],
  pac: ["policy", "resolve", "route"],
  upstream: ["route"],
  auth: ["hook"],
  decide: ["hook", "policy", "resolve", "route", "trace"],
  dial: ["hook", "policy", "resolve", "route", "upstream", "flow", "trace"],
};

/** The imports of a file in the folder of a stage that lead where they must not. */
function findBreaches(file: string, text: string): string[] {
  const [folder = ""] = relative(proxy, file).split("/");
  return [...text.matchAll(/(?:from|import) "(\.[^"]+)"/g)].flatMap(([, source = ""]) => {
    const [first = ""] = relative(proxy, join(dirname(file), source)).split("/");
    const passes = first === ".." || first === folder || first === "failure.ts" || below[folder]?.includes(first);
    return passes ? [] : [source];
  });
}

describe("the folders of the stages", () => {
  test.each(Object.keys(below))("%s imports only what is below it", async (folder) => {
    const breaches: string[] = [];
    const files = await Array.fromAsync(new Bun.Glob("**/*.ts").scan(join(proxy, folder)));
    expect(files.length).toBeGreaterThan(0);
    for (const name of files) {
      const file = join(proxy, folder, name);
      for (const source of findBreaches(file, await Bun.file(file).text())) breaches.push(`${name} imports ${source}`);
    }
    expect(breaches).toEqual([]);
  });

  test("have an order: nothing is below itself", () => {
    const reach = (folder: string): string[] => [folder, ...(below[folder] ?? []).flatMap(reach)];
    for (const [folder, next] of Object.entries(below)) expect(next.flatMap(reach)).not.toContain(folder);
  });

  test("a planted breach is found, and what is allowed is not one", () => {
    const planted =
      'import "../dial/dial.ts";\nimport type { Ip } from "../../address/ip.ts";\nexport * from "./x.ts";\n';
    expect(findBreaches(join(proxy, "policy/planted.ts"), planted)).toEqual(["../dial/dial.ts"]);
    expect(findBreaches(join(proxy, "route/planted.ts"), 'import type { Via } from "../policy/decision.ts";')).toEqual(
      [],
    );
  });
});
