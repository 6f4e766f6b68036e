import { resolve } from "node:path";
import { parseDuration } from "../config/quantity.ts";
import { quoteValue } from "../config/problem.ts";
import { escapeText, formatJson } from "../escape-text.ts";
import type { LearnedRule, Observations } from "../learn/learn-rules.ts";
import { describeRule, explainTarget, RULE_FORMS, usesDefaultWay, writeRules } from "../learn/write-rules.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { findSidecar, sidecarArgs } from "./find-sidecar.ts";
import { endWith, exitCodes } from "./io.ts";
import { showProgress } from "./progress.ts";
import { learnFromEvents, learnFromFile, Lesson } from "./learn-input.ts";

/** Names of one domain from which on all names below it are allowed. */
const THRESHOLD = 3;

/** `penstock learn`: writes rules that allow what happened. */
export const learn = createCommand({
  name: "learn",
  description:
    "Write the rules that allow what happened, of an access log in JSON or of a running proxy for a time: grouped by registered domain, port and user. Addresses, ports and private targets are allowed as they were seen, and nothing beside them.",
  examples: [
    ["penstock learn --from access.log --format yaml", "Write rules from an access log in JSON."],
    ["penstock learn --live 10m --review", "Watch a running proxy for ten minutes, and show what was asked for."],
    [
      "penstock learn --from access.log --reported",
      "Write rules for what report mode let through, and for nothing else.",
    ],
  ],
  args: {
    from: {
      type: "string",
      valueHint: "FILE",
      description: 'Access log to read, in JSON (`log.access: "json"`); "-" is standard input.',
    },
    live: {
      type: "string",
      valueHint: "TIME",
      description:
        'Follow the events of a running proxy for so long, such as "10m", or until SIGINT. Needs the sidecar.',
    },
    generalise: {
      type: "string",
      valueHint: "N|never",
      description: `From so many names of one registered domain on, allow all names below what they have in common. Default: ${THRESHOLD}.`,
    },
    format: {
      type: "string",
      valueHint: RULE_FORMS.join("|"),
      description: "How to write `rules` and `default`. Default: yaml.",
    },
    review: {
      type: "boolean",
      description: "Print every target with its counts and the names that were seen instead.",
    },
    reported: {
      type: "boolean",
      description:
        'Learn only what was reported (`mode: "report"`, or `report` of a rule), and leave out what no rule would have refused.',
    },
    json: { type: "boolean", description: "Print the rules, counts and names as one JSON object, for programs." },
    ...sidecarArgs,
  },
  async run(input) {
    const { io } = input;
    const wanted = readFlags(input);
    if (typeof wanted === "string") return endWith(io, wanted, exitCodes.usage);
    // The public suffix list is loaded by this command alone.
    const learning = await import("../learn/learn-rules.ts");
    const lesson = new Lesson(new learning.Observations());
    const fault =
      wanted.liveMs === undefined
        ? await showProgress(
            io,
            () => `Reading the log: ${lesson.lines.toLocaleString("en-US")} lines`,
            () => learnFromFile(wanted.from === "-" ? "-" : resolve(io.folder, wanted.from), lesson),
          )
        : await learnLive(input, wanted.liveMs, lesson);
    if (fault !== undefined) return endWith(io, fault, exitCodes.failure);
    const onlyReported = input.has("reported");
    const rules = learning.learnRules(lesson.seen, wanted.threshold, onlyReported ? "reported" : "everything");
    const remarks = describeLesson(lesson, rules, onlyReported);
    if (input.has("json")) await io.print(`${formatJson(describeForPrograms(lesson, rules, onlyReported), 2)}\n`);
    else if (input.has("review")) await io.print(`${rules.map(reviewRule).join("\n")}\n`);
    else await io.print(writeRules(rules, wanted.form, ["Written by penstock learn.", ...remarks]));
    for (const remark of remarks) io.tell(remark);
    return rules.length === 0 ? exitCodes.failure : exitCodes.ok;
  },
});

interface Wanted {
  readonly from: string;
  /** Undefined when a file is read. */
  readonly liveMs: number | undefined;
  readonly threshold: number;
  readonly form: (typeof RULE_FORMS)[number];
}

function readFlags({ value }: CommandInput): Wanted | string {
  const [from, live, names = String(THRESHOLD), format = "yaml"] = ["from", "live", "generalise", "format"].map(value);
  if ((from === undefined) === (live === undefined)) return 'Write either --from FILE or --live TIME, such as "10m".';
  const time = live === undefined ? undefined : parseDuration(live);
  if (time?.ok === false) return `--live: ${quoteValue(live)} ${time.reason}.`;
  if (time?.value === 0) return '--live: the time is 0. Write one such as "10m".';
  const threshold = names === "never" ? Infinity : /^\d{1,9}$/.test(names) ? Number(names) : 0;
  if (threshold < 2) return `--generalise is ${quoteValue(names)}. Write a number from 2 on, or never.`;
  const form = RULE_FORMS.find((known) => known === format);
  if (form === undefined) return `--format is ${quoteValue(format)}. Write one of ${RULE_FORMS.join(", ")}.`;
  return { from: from ?? "", liveMs: time?.value, threshold, form };
}

/** Times that it tells how far it is. */
const TOLD = 10;

async function learnLive(input: CommandInput, ms: number, lesson: Lesson): Promise<string | undefined> {
  const { io } = input;
  const access = await findSidecar(input, "/events");
  if (typeof access === "string") return access;
  const leaving = new AbortController();
  const unsubscribe = io.onStopSignal(() => leaving.abort());
  const end = setTimeout(() => leaving.abort(), ms);
  let tenths = 0;
  const progress = setInterval(() => {
    tenths += 1;
    const { requests, size } = lesson.seen;
    io.tell(
      `${tenths * TOLD} % of the time. Requests: ${requests}; different ones: ${size}; open tunnels: ${lesson.openTunnels}.`,
    );
  }, ms / TOLD);
  const fault = await learnFromEvents(access, lesson, leaving.signal, (line) => io.tell(line));
  lesson.finish();
  clearTimeout(end);
  clearInterval(progress);
  unsubscribe();
  return fault;
}

/** What there is to say about how the rules came about. */
function describeLesson(
  { seen, skipped, lost }: Lesson,
  rules: readonly LearnedRule[],
  onlyReported: boolean,
): string[] {
  const targets = rules.flatMap((rule) => rule.targets);
  const remarks = [`Learned from ${writeCount(seen.requests - (onlyReported ? seen.unreported : 0), "request")}.`];
  for (const { pattern, hosts, isGeneralised } of targets)
    if (isGeneralised) remarks.push(`${pattern} is generalised from ${hosts.length} names.`);
  remarks.push(...describeUnreported(seen, onlyReported));
  const skip = (count: number, what: string, of = ""): void => {
    if (count > 0) remarks.push(`Not learned: ${writeCount(count, what)}${of}.`);
  };
  skip(skipped.refused, "refused request");
  skip(skipped.failed, "failed request");
  skip(skipped.unusable_user, "request", " of a user that no rule can name");
  skip(skipped.unreadable, "line", " without an access record in JSON that has a target");
  skip(seen.dropped, "request", ", since there were too many different ones");
  if (lost > 0) remarks.push(`Lost: ${writeCount(lost, "event")}. Learn again, or from the access log.`);
  if (usesDefaultWay(rules))
    remarks.push(
      'The way of "upstream" was taken: the last rule refuses what is not learned. Set no "default" beside it.',
    );
  if (rules.some(({ allowPrivate }) => allowPrivate))
    remarks.push(
      "Private addresses were reached before, by a rule that allows them: each is allowed as it was seen. Look at these rules first.",
    );
  if (rules.some(({ users }) => users === undefined) && rules.some(({ users }) => users !== undefined))
    remarks.push("Requests without a user were seen: the rules for them hold for everybody.");
  return remarks;
}

/** What to say of requests that the rules of their time allowed, in a log in which others were reported. */
function describeUnreported({ requests, unreported }: Observations, onlyReported: boolean): string[] {
  if (unreported === 0) return [];
  const count = writeCount(unreported, "request");
  if (onlyReported) return [`Left out: ${count} that no rule would have refused. Keep the rules that allow them.`];
  if (unreported === requests) return [];
  return [
    `Learned as well: ${count} that no rule would have refused. The learned rules open tunnels to these targets, also where a rule had "paths", "methods" or "request". Leave them out with --reported.`,
  ];
}

function writeCount(count: number, what: string): string {
  return `${count} ${count === 1 ? what : `${what}s`}`;
}

function reviewRule(rule: LearnedRule): string {
  const { name, users, via, allowPrivate, targets } = rule;
  const terms = [...(via.length > 0 ? [`via ${via.join(", ")}`] : []), ...(allowPrivate ? ["private addresses"] : [])];
  const head = `${name}: ${users === undefined ? "everybody" : users.join(", ")}${terms.length === 0 ? "" : ` (${terms.join("; ")})`}`;
  const lines = targets.flatMap((target) => [
    `  ${target.pattern}  ${explainTarget(target)}`,
    ...(target.isGeneralised ? target.hosts.map((host) => `    ${host}`) : []),
  ]);
  return [head, ...lines].map(escapeText).join("\n");
}

function describeForPrograms({ seen, skipped, lost }: Lesson, rules: readonly LearnedRule[], onlyReported: boolean) {
  return {
    requests: seen.requests,
    skipped: { ...skipped, too_many: seen.dropped, not_reported: onlyReported ? seen.unreported : 0 },
    lost,
    rules: rules.map((rule) => ({
      ...describeRule(rule, usesDefaultWay(rules)),
      targets: rule.targets.map(({ pattern, requests, hosts, isGeneralised, reportedBy }) => ({
        pattern,
        requests,
        hosts,
        generalised: isGeneralised,
        would_be_refused_by: reportedBy,
      })),
    })),
  };
}
