import { parseIp } from "../address/ip.ts";
import { quoteSubject } from "../config/problem.ts";
import { parseTime } from "../config/when-schema.ts";
import type { Question } from "./explain-target.ts";
import { readTarget } from "./read-target.ts";

/** A question as a person writes it. */
interface WrittenQuestion {
  readonly target: string;
  readonly user: string | undefined;
  readonly from: string | undefined;
  readonly at: string | undefined;
  readonly all: boolean;
}

/** The question, or everything that is wrong with it, a sentence each. */
export function readQuestion(written: WrittenQuestion): Question | readonly string[] {
  const target = readTarget(written.target);
  const client = parseIp(written.from ?? "127.0.0.1");
  const at = readAt(written.at);
  if (typeof target !== "string" && client !== undefined && typeof at !== "string")
    return { client, user: written.user, target, allRules: written.all, ...(at !== undefined && { at }) };
  const faults = [
    typeof target === "string" ? target : undefined,
    client === undefined
      ? `${quoteSubject(written.from)} is not an IP address. Write one such as 192.0.2.1.`
      : undefined,
    typeof at === "string" ? at : undefined,
  ];
  return faults.filter((fault) => fault !== undefined);
}

/** A time, undefined for now; or what is wrong with it. */
function readAt(written: string | undefined): number | string | undefined {
  if (written === undefined) return undefined;
  const read = parseTime(written);
  return read.ok ? read.value : `${quoteSubject(written)} ${read.reason}.`;
}
