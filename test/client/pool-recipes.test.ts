import { describe, expect } from "bun:test";
import { needs } from "../support/needs.ts";
import { runInNamespace } from "../support/run-in-namespace.ts";
import { type RecipeResult, recipeNames, runner } from "../support/run-recipes.ts";

const test = needs("unshare", "ip", "mount");

/** Milliseconds for a recipe: members come back after seconds. */
const RUN_MS = 300_000;

let running: Map<string, Promise<RecipeResult>> | undefined;

/** Every recipe runs as it is written, with its ports, its addresses and its names: all at once, for most of the time they wait. */
async function findResult(recipe: string): Promise<RecipeResult> {
  running ??= new Map(recipeNames.map((name) => [name, run(name)]));
  // A further try runs it again.
  const result = running.get(recipe) ?? run(recipe);
  running.delete(recipe);
  return result;
}

function run(recipe: string): Promise<RecipeResult> {
  const result = runInNamespace<RecipeResult>(runner, ["-n", "-m"], recipe);
  // The test of this recipe is told, which may come later.
  result.catch(() => {});
  return result;
}

describe("a recipe of docs/upstreams.md", () => {
  const parent = "a corporate parent with fall-back to direct";
  test(
    parent,
    async () => {
      const { steps, told } = await findResult(parent);
      const corp = "corp/proxy.corp.example:3128";
      expect(steps).toEqual([[corp], ["corp/direct", "corp/direct", "corp/direct"], [corp]]);
      expect(told.at(-1)).toStartWith("Upstream corp: proxy.corp.example:3128 is healthy (");
    },
    RUN_MS,
  );

  const exits = "exits that rotate, and stay with a user";
  test(
    exits,
    async () => {
      const { steps, told } = await findResult(exits);
      const [alice = [], bob = [], aliceLater = [], bobLater = []] = steps;
      for (const members of steps) expect(new Set(members).size).toBe(1);
      expect(alice[0]).toMatch(/^exits\/10\.0\.0\.[789]:3128$/);
      expect(bob[0]).not.toBe(alice[0] as string);
      expect(aliceLater[0]).not.toBe(alice[0] as string);
      expect(bobLater[0]).toBe(bob[0] as string);
      const [from, to] = [alice[0], aliceLater[0]].map((member) => member?.slice("exits/".length));
      expect(told).toContain(`Upstream exits: ${from} is ejected for 10 s (connection_refused).`);
      expect(told).toContain(`Upstream exits: a session moved from ${from} to ${to}.`);
    },
    RUN_MS,
  );

  const centres = "two data centres with backup";
  test(
    centres,
    async () => {
      const { steps } = await findResult(centres);
      const [both = [], one = [], none = [], back = []] = steps;
      expect([...both].sort()).toEqual([
        "exits/east/east-1.example:3128",
        "exits/east/east-1.example:3128",
        "exits/east/east-2.example:3128",
        "exits/east/east-2.example:3128",
      ]);
      expect(one).toEqual(["exits/east/east-2.example:3128", "exits/east/east-2.example:3128"]);
      for (const member of none) expect(member).toStartWith("exits/west/west-");
      for (const member of back) expect(member).toStartWith("exits/east/east-");
    },
    RUN_MS,
  );

  const pac = "what the PAC file of the company says";
  test(
    pac,
    async () => {
      const { steps } = await findResult(pac);
      const [first = [], intranet, second = [], direct = [], back = []] = steps;
      expect(first).toHaveLength(2);
      for (const member of first) expect(member).toEndWith("/proxy-1.corp.example:3128");
      expect(intranet).toEqual(["direct"]);
      for (const member of second) expect(member).toEndWith("/proxy-2.corp.example:3128");
      expect(direct.map((member) => member.split("/").at(-1))).toEqual(["direct", "direct"]);
      expect(back).toHaveLength(1);
      expect(back[0]).toEndWith("/proxy-1.corp.example:3128");
    },
    RUN_MS,
  );
});
