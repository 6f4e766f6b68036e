/**
 * What rules with long lists cost: loading a file of them, the memory that stays, and a decision;
 * of a list in a file of its own (txt) also what a change of it costs.
 * `bun test/bench/large-lists.ts [COUNT]`; each kind of list and file runs in a process of its own.
 */
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { evaluate } from "../../src/proxy/policy/evaluate.ts";
import type { Policy, Query } from "../../src/proxy/policy/policy.ts";
import type { ListsPlan } from "../../src/lists/list-source.ts";
import { runInTurns } from "../../src/steps.ts";
import { makeQuery } from "../support/make-policy.ts";

const QUERIES = 1024;
const ROUNDS = 200;

/** Spreads numbers over 32 bits, without repeating one. */
const spread = (at: number): number => Math.imul(at, 2_654_435_761) >>> 0;
const ipv4 = (bits: number): string => [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".");
const ipv6 = (bits: number): string => `2001:db8:${(bits >>> 16).toString(16)}:${(bits & 0xff_ff).toString(16)}::`;

interface Kind {
  readonly entry: (at: number) => string;
  /** A target, in the list or not. */
  readonly target: (at: number) => string;
}

const kinds: Readonly<Record<string, Kind>> = {
  names: {
    entry: (at) => `${at % 2 === 0 ? "*." : ""}d${at}.example${at % 997}.com`,
    target: (at) => `www.d${at}.example${at % 997}.com:443`,
  },
  "IPv4 ranges": {
    entry: (at) => `${ipv4(spread(at) & ~3)}/30`,
    target: (at) => `${ipv4(spread(at + 7))}:443`,
  },
  "IPv6 ranges": {
    entry: (at) => `${ipv6(spread(at))}/64`,
    target: (at) => `[${ipv6(spread(at * 2))}1]:443`,
  },
};
const endings = ["json", "yaml", "ts", "txt"];

/** The program keeps the whole configuration, too. */
const kept: unknown[] = [];

const [first = "1000000", kind, ending = "json"] = process.argv.slice(2);
const count = Number(first);
if (kind === undefined) {
  process.stdout.write(
    "| list | file | loading, CPU | resident memory | for each entry | decision |\n|---|---|--:|--:|--:|--:|\n",
  );
  for (const each of Object.keys(kinds))
    for (const file of each === "names" ? endings : ["json", "txt"])
      Bun.spawnSync([process.execPath, import.meta.path, first, each, file], { stdout: "inherit", stderr: "inherit" });
} else await measure(kind, ending);

async function measure(name: string, file: string): Promise<void> {
  const { entry, target } = kinds[name] as Kind;
  const { policy: empty } = await read(await writeConfig("empty", file, []));
  const before = settle();
  const path = await writeConfig(
    "list",
    file,
    Array.from({ length: count }, (_, at) => entry(at)),
  );
  const began = process.cpuUsage();
  const { policy, lists } = await read(path);
  const { user, system } = process.cpuUsage(began);
  const grown = settle() - before;
  const queries = Array.from({ length: QUERIES }, (_, at) => makeQuery(target(Math.floor((at * count) / QUERIES))));
  const decision = time(policy, queries);
  const cells = [
    `${count.toLocaleString("en")} ${name}`,
    file,
    `${((user + system) / 1e6).toFixed(1)} s`,
    `+${(grown / 1e6).toFixed(0)} MB`,
    `${(grown / count).toFixed(0)} B`,
    `${decision.toFixed(2)} µs (${time(empty, queries).toFixed(2)} without rules)`,
  ];
  process.stdout.write(`| ${cells.join(" | ")} |\n`);
  if (lists !== undefined) await measureChange(lists);
}

/** What it costs to check a new text of a list and to compile the rules again, in turns. */
async function measureChange(lists: ListsPlan): Promise<void> {
  const [[key, text] = ["", ""]] = lists.texts;
  const began = process.cpuUsage();
  let longest = 0;
  let since = performance.now();
  const turn = () => {
    longest = Math.max(longest, performance.now() - since);
    return new Promise<void>((resolve) =>
      setImmediate(() => {
        since = performance.now();
        resolve();
      }),
    );
  };
  const { faults } = await runInTurns(lists.check(key, text), turn);
  await runInTurns(lists.compile(new Map([[key, text]])), turn);
  await turn();
  const { user, system } = process.cpuUsage(began);
  process.stdout.write(
    `|  a change of it: ${((user + system) / 1e6).toFixed(1)} s of CPU, longest step ${longest.toFixed(0)} ms, ${faults.length} wrong lines |\n`,
  );
}

/** Writes a configuration with one list; gives the path of the file. */
async function writeConfig(name: string, file: string, entries: readonly string[]): Promise<string> {
  const path = join(tmpdir(), `large-lists-${process.pid}-${name}.${file}`);
  const rules = entries.length === 0 ? [] : [{ to: entries, allow: true }];
  if (file === "txt") {
    const list = `${path}.list`;
    await Bun.write(list, entries.join("\n"));
    const own = entries.length === 0 ? [] : [{ to: [{ file: list }], allow: true }];
    const json = `${path}.json`;
    await Bun.write(json, JSON.stringify({ rules: own, default: "deny" }));
    return json;
  }
  const text = JSON.stringify({ rules, default: "deny" }, undefined, 1);
  await Bun.write(path, file === "ts" ? `export default ${text};` : text);
  return path;
}

async function read(path: string): Promise<{ readonly policy: Policy; readonly lists: ListsPlan | undefined }> {
  const loaded = await loadConfig({ folder: tmpdir(), file: path, flags: {}, variables: {}, terminal: false });
  await rm(path);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems[0]));
  kept.push(loaded.value);
  const { runtime, lists } = loaded.value.compiled;
  await rm(path.replace(/(txt\.)json$/, "$1list"), { force: true });
  return { policy: runtime.policy, lists };
}

/** Resident bytes, after what is garbage was given back. */
function settle(): number {
  for (let round = 0; round < 3; round++) Bun.gc(true);
  return process.memoryUsage.rss();
}

/** Microseconds for a decision, the best of several turns. */
function time(policy: Policy, queries: readonly Query[]): number {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const began = performance.now();
    for (const query of queries) evaluate(policy, query);
    best = Math.min(best, performance.now() - began);
  }
  return (best * 1000) / queries.length;
}
