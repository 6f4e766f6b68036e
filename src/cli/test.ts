import { resolve } from "node:path";

import type { CompiledConfig } from "../config/compile.ts";
import { escapeText, formatJson } from "../escape-text.ts";
import { createSystemResolver } from "../net/dns/system-resolver.ts";
import { createCommand } from "./command.ts";
import { configArgs, configHints, configLists, loadFromFlags, tellProblems } from "./config-args.ts";
import { exitCodes } from "./io.ts";
import { type Decided, decideCase, type Found } from "./policy-test/decide-case.ts";
import type { Expectation } from "./policy-test/read-case.ts";
import { type PlacedCase, readTestFile } from "./policy-test/read-test-file.ts";

/** `penstock test FILE…`: whether the configuration decides as test files expect. */
export const test = createCommand({
  name: "test",
  description:
    "Check that the configuration decides as test files expect, such as `user ci from 10.0.0.7 → example.org:443: allow via corp`. Nothing is dialled. Exit code 1: an expectation failed.",
  examples: [["penstock test policy.yaml", "Check the rules in CI."]],
  args: {
    file: {
      type: "positional",
      description: "Test file in YAML, JSON, TOML, TypeScript or JavaScript. Several may be given.",
    },
    ...configArgs,
    resolve: {
      type: "boolean",
      description: "Ask DNS for names that rules need the addresses of. Default: such a case needs `address`.",
    },
    json: { type: "boolean", description: "Print every case, and what was found, as one JSON object." },
  },
  lists: [...configLists, "file"],
  hints: configHints,
  async run(input) {
    const { io } = input;
    const cases: PlacedCase[] = [];
    const faults: string[] = [];
    for (const file of input.values("file")) {
      const read = await readTestFile(resolve(io.folder, file), io.folder);
      if (read.ok) cases.push(...read.cases);
      else faults.push(...read.faults);
    }
    for (const fault of faults) io.tell(fault);
    if (faults.length > 0) return exitCodes.usage;
    const loaded = await loadFromFlags(input, { terminal: false });
    if (!loaded.ok) {
      tellProblems(loaded, io);
      return exitCodes.configuration;
    }
    const results = await runCases(loaded.value.compiled, cases, input.has("resolve"));
    const failed = results.filter(({ passed }) => !passed);
    const counts = { passed: results.length - failed.length, failed: failed.length };
    if (input.has("json")) await io.print(`${formatJson({ ...counts, cases: results.map(describeResult) }, 2)}\n`);
    else
      await io.print(
        [...failed.flatMap(writeFailure), `${counts.passed} passed, ${counts.failed} failed.`, ""].join("\n"),
      );
    return failed.length > 0 ? exitCodes.failure : exitCodes.ok;
  },
});

interface Result extends PlacedCase {
  readonly found: Decided;
  readonly passed: boolean;
}

/** One case after the other, so that functions of the configuration are asked in the order of the file. */
async function runCases(compiled: CompiledConfig, cases: readonly PlacedCase[], resolves: boolean): Promise<Result[]> {
  const resolver = resolves ? createSystemResolver() : undefined;
  const results: Result[] = [];
  for (const placed of cases) {
    const found = await decideCase(compiled, placed.case, resolver);
    results.push({ ...placed, found, passed: meetsExpectation(placed.case.expected, found) });
  }
  return results;
}

/** The question, what was expected, what was found, and why each rule did or did not match. */
function writeFailure({ place, case: { question, expected }, found }: Result): string[] {
  const why = typeof found === "string" ? [] : found.why;
  return [
    `${place}: ${question}`,
    `  expected: ${writeAnswer(expected)}`,
    `  found:    ${typeof found === "string" ? found : writeAnswer(found)}`,
    ...why.map((line) => `    ${line}`),
  ].map(escapeText);
}

function describeResult({ place, case: { question, expected }, found, passed }: Result) {
  return { place, question, passed, expected, ...(typeof found === "string" ? { error: found } : { found }) };
}

/** Whether everything that is expected was found. What an expectation leaves out may be anything. */
function meetsExpectation({ verdict, rule, via, word }: Expectation, found: Decided): boolean {
  if (typeof found === "string" || found.verdict !== verdict) return false;
  if (rule !== undefined && found.rule !== rule) return false;
  if (word !== undefined && found.word !== word) return false;
  return via === undefined || (found.via?.length === via.length && via.every((name, at) => found.via?.[at] === name));
}

/** An expectation, or what was found, as it is written in a test file. */
function writeAnswer({ verdict, rule, via, word, note }: Expectation & Pick<Partial<Found>, "note">): string {
  const parts: string[] = [verdict];
  if (word !== undefined) parts.push(word);
  if (rule !== undefined) parts.push(`by ${/^\S+$/.test(rule) ? rule : `"${rule}"`}`);
  if (via !== undefined) parts.push(`via ${via.join(", ")}`);
  return `${parts.join(" ")}${note === undefined ? "" : ` (${note})`}`;
}
