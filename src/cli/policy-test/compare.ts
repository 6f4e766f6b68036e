import type { Expectation } from "./read-case.ts";
import type { Decided, Found } from "./decide-case.ts";

/** Whether everything that is expected was found. What an expectation leaves out may be anything. */
export function meetsExpectation({ verdict, rule, via, word }: Expectation, found: Decided): boolean {
  if (typeof found === "string" || found.verdict !== verdict) return false;
  if (rule !== undefined && found.rule !== rule) return false;
  if (word !== undefined && found.word !== word) return false;
  return via === undefined || (found.via?.length === via.length && via.every((name, at) => found.via?.[at] === name));
}

/** An expectation, or what was found, as it is written in a test file. */
export function writeAnswer({ verdict, rule, via, word, note }: Expectation & Pick<Partial<Found>, "note">): string {
  const parts: string[] = [verdict];
  if (word !== undefined) parts.push(word);
  if (rule !== undefined) parts.push(`by ${/^\S+$/.test(rule) ? rule : `"${rule}"`}`);
  if (via !== undefined) parts.push(`via ${via.join(", ")}`);
  return `${parts.join(" ")}${note === undefined ? "" : ` (${note})`}`;
}
