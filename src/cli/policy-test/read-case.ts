import type { Endpoint } from "../../address/endpoint.ts";
import { type Ip, parseIp } from "../../address/ip.ts";
import { isRecord } from "../../config/plain-data.ts";
import { describeKind, quoteSubject, quoteValue } from "../../config/problem.ts";
import { suggest } from "../../config/suggest.ts";
import { parseTime } from "../../config/when-schema.ts";
import { type FailureDetail, listFailureDetails } from "../../proxy/failure.ts";
import { readTarget } from "../../explain/read-target.ts";

/** What a case says that the configuration decides. What it leaves out may be anything. */
export interface Expectation {
  /** `report`: it is let through, and would be refused if that were not only reported. */
  readonly verdict: (typeof VERDICTS)[number];
  /** Name of the rule that decides; of `report`, the one that would refuse. */
  readonly rule?: string;
  /** Names of upstreams in the order of the chain, or `direct` alone. */
  readonly via?: readonly string[];
  readonly word?: FailureDetail;
}

/** One line of a test file: who asks for what, and what is expected. */
export interface PolicyCase {
  /** The question as it was written. */
  readonly question: string;
  readonly client: Ip;
  /** The user name as the client sends it. */
  readonly user: string | undefined;
  readonly target: Endpoint;
  /** What the name of the target resolves to; empty when the case does not say. */
  readonly addresses: readonly Ip[];
  /** The time of the request, in milliseconds since the epoch; undefined for now. */
  readonly at: number | undefined;
  readonly expected: Expectation;
}

/** A case, or what is wrong with it. */
export type ReadCase = PolicyCase | string;

const VERDICTS = ["allow", "deny", "report"] as const;
const WANTED = 'Write "user NAME from ADDRESS → host:port: allow via UPSTREAM", or "…: deny WORD".';
const OPTIONS = ["address", "at"];
const LOOPBACK = parseIp("127.0.0.1") as Ip;

/**
 * Reads a case: a text `QUESTION: ANSWER`, or a map with the question as a name and the answer as its
 * value, which YAML makes of the same line. The map may have `address` and `at` beside it.
 */
export function readCase(written: unknown): ReadCase {
  if (typeof written === "string") {
    const colon = written.lastIndexOf(": ");
    if (colon < 0) return `${quoteSubject(written)} has no answer. ${WANTED}`;
    return readParts(written.slice(0, colon), written.slice(colon + 1), {});
  }
  if (!isRecord(written)) return `${quoteSubject(written)} is not a case. ${WANTED}`;
  const questions = Object.keys(written).filter((name) => !OPTIONS.includes(name));
  const [question] = questions;
  if (question === undefined) return `The case has no question. ${WANTED}`;
  const other = questions.find((name) => !isQuestion(name));
  if (other !== undefined && questions.length > 1)
    return `Unknown ${quoteValue(other)}.${suggest(other, OPTIONS) || " Beside the question there may be address and at."}`;
  if (questions.length > 1) return "The case has two questions. Write each in a case of its own.";
  const answer = written[question];
  if (typeof answer !== "string") return `The answer is ${describeKind(answer)}. ${WANTED}`;
  return readParts(question, answer, written);
}

const ARROW = "(?:→|->|=>)";

function isQuestion(text: string): boolean {
  return new RegExp(ARROW).test(text);
}

function readParts(question: string, answer: string, options: Readonly<Record<string, unknown>>): ReadCase {
  const asked = new RegExp(
    `^\\s*(?:nobody\\s*)?(?:user\\s+("[^"]+"|\\S+)\\s*)?(?:from\\s+(\\S+)\\s*)?${ARROW}\\s*(\\S+)\\s*$`,
    "u",
  ).exec(question);
  if (asked === null) return `${quoteSubject(question)} is not a question. ${WANTED}`;
  const [, user, from, to = ""] = asked;
  const client = from === undefined ? LOOPBACK : parseIp(from);
  if (client === undefined) return `${quoteSubject(from)} is not an IP address. Write one such as 192.0.2.1.`;
  const target = readTarget(to);
  if (typeof target === "string") return target;
  const expected = readAnswer(answer);
  if (typeof expected === "string") return expected;
  const addresses = readAddresses(options["address"], target);
  if (typeof addresses === "string") return addresses;
  const at = readTime(options["at"]);
  if (typeof at === "string") return at;
  return { question: question.trim(), client, user: user && unquote(user), target, addresses, at, expected };
}

const CLAUSE = /^\s+(?:(by)\s+(?:rule\s+)?("[^"]+"|\S+)|(via)\s+(\S+(?:\s*,\s*\S+)*)|(?:with\s+)?([a-z0-9_]+))(?=\s|$)/;

function readAnswer(text: string): Expectation | string {
  const [start, word] = /^\s*([a-z]+)(?=\s|$)/.exec(text) ?? [];
  const verdict = VERDICTS.find((known) => known === word);
  if (start === undefined || verdict === undefined)
    return `${quoteSubject(text.trim())} is not an answer. Begin it with "allow", "deny" or "report".`;
  let expected: Expectation = { verdict };
  for (let rest = text.slice(start.length).trimEnd(); rest !== "";) {
    const clause = CLAUSE.exec(rest);
    if (clause === null) return `${quoteSubject(rest.trim())} is not understood. ${WANTED}`;
    const [whole, by, rule, via, names, reason] = clause;
    rest = rest.slice(whole.length);
    if (by !== undefined) expected = { ...expected, rule: unquote(rule ?? "") };
    else if (via !== undefined) expected = { ...expected, via: (names ?? "").split(",").map((name) => name.trim()) };
    else {
      const known = listFailureDetails().find((detail) => detail === reason);
      if (known === undefined)
        return `${quoteSubject(reason)} is no reason of a refusal.${suggest(reason ?? "", listFailureDetails())} A rule is written as "by NAME".`;
      expected = { ...expected, word: known };
    }
  }
  if (expected.verdict === "allow" && expected.word !== undefined)
    return `${quoteSubject(expected.word)} is the reason of a refusal. Write it after "deny".`;
  if (expected.verdict === "deny" && expected.via !== undefined) return 'What is denied has no way. Leave out "via".';
  return expected;
}

function readAddresses(value: unknown, target: Endpoint): readonly Ip[] | string {
  if (value === undefined) return [];
  if (target.host.kind === "ip") return 'The target is an address. Leave out "address".';
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  const addresses: Ip[] = [];
  for (const text of texts) {
    const ip = typeof text === "string" ? parseIp(text) : undefined;
    if (ip === undefined)
      return `${quoteSubject(text)} in "address" is not an IP address. Write one such as 192.0.2.1.`;
    addresses.push(ip);
  }
  return addresses.length === 0 ? '"address" is empty. Write an IP address, or leave it out.' : addresses;
}

function readTime(value: unknown): number | undefined | string {
  if (value === undefined) return undefined;
  const time = parseTime(typeof value === "string" ? value : "");
  return time.ok ? time.value : `${quoteSubject(value)} in "at" ${time.reason}.`;
}

function unquote(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1) : text;
}
