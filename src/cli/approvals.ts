import type * as z from "zod";
import { ANSWER_TIMES, type AnswerTime } from "../approvals/approval-table.ts";
import { formatJson } from "../escape-text.ts";
import { approvalsAnswer } from "../sidecar/approvals.ts";
import { formatAnswers, formatQuestions } from "./approvals-table.ts";
import { askAnswer, describeRefusal, isFinalStatus } from "./ask-answer.ts";
import { pause, readJson, requestSidecar } from "./ask-sidecar.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { findSidecar, type SidecarAccess, sidecarArgs } from "./find-sidecar.ts";
import { type CliIo, endWith, exitCodes } from "./io.ts";

type Listed = z.infer<typeof approvalsAnswer>;

/** Milliseconds between two looks with `--watch`. */
const LOOK_MS = 1000;

/** What is to be answered. */
interface Answer {
  readonly ids: readonly string[];
  readonly allow: boolean;
  readonly for: AnswerTime;
}

/** `penstock approvals`: what rules that ask wait for, and the answers of an operator. */
export const approvals = createCommand({
  name: "approvals",
  description:
    "List the targets that wait for an operator in a running proxy, or answer: approve ID, deny ID. It needs the sidecar, and its token.",
  examples: [["penstock approvals", "List the requests that wait for a person."]],
  args: {
    action: { type: "positional", required: false, description: "approve or deny. Without it the list is printed." },
    id: { type: "positional", required: false, description: "What to answer. Further ids may follow." },
    for: {
      type: "string",
      valueHint: "TIME",
      description:
        "once: those who wait now. 10m: this user, or client without a user, for ten minutes. always: everybody, by a file (approve only). Default: once.",
    },
    watch: { type: "boolean", alias: "w", description: "Print each question as it comes, until SIGINT." },
    json: { type: "boolean", description: "Print JSON, as the sidecar has it; with --watch a line for each question." },
    ...sidecarArgs,
  },
  lists: ["id"],
  async run(input) {
    const { io, has } = input;
    const answer = readAnswer(input);
    if (typeof answer === "string") return endWith(io, answer, exitCodes.usage);
    const access = await findSidecar(input, "/approvals", answer === undefined ? ["read"] : ["operate"]);
    if (typeof access === "string") return endWith(io, access, exitCodes.usage);
    if (answer !== undefined) return giveAnswer(answer, access, has("json"), io);
    if (has("watch")) return watch(access, has("json"), io);
    const listed = await askAnswer(access, access.url, approvalsAnswer);
    if (!listed.ok) return endWith(io, listed.message, exitCodes.failure);
    if (has("json")) await io.print(`${formatJson(listed.raw, 2)}\n`);
    else await print(listed.value, io);
    return exitCodes.ok;
  },
});

/** What the arguments answer; undefined for nothing; or what is wrong with them. */
function readAnswer({ value, values, has }: CommandInput): Answer | undefined | string {
  const action = value("action");
  const ids = [...new Set(values("id"))];
  const written = value("for");
  if (action === undefined) return written === undefined ? undefined : "Found --for without approve ID or deny ID.";
  if (action !== "approve" && action !== "deny")
    return `Found ${JSON.stringify(action)}. Write approve ID, deny ID, or nothing for the list.`;
  if (ids.length === 0) return `Missing the id after ${action}. "penstock approvals" lists them.`;
  if (has("watch")) return `Found --watch beside ${action}. Leave one of them out.`;
  const time = written === undefined ? "once" : ANSWER_TIMES.find((each) => each === written);
  if (time === undefined) return `--for is ${JSON.stringify(written)}. Wanted is once, 10m or always.`;
  const allow = action === "approve";
  if (!allow && time === "always")
    return "Nothing is denied for always here. Deny for 10m, and write a rule that denies.";
  return { ids, allow, for: time };
}

/** Answers one question after the other, up to the first that cannot be. */
async function giveAnswer(
  { ids, allow, for: time }: Answer,
  access: SidecarAccess,
  asJson: boolean,
  io: CliIo,
): Promise<number> {
  const results: unknown[] = [];
  let problem: string | undefined;
  for (const id of ids) {
    const url = new URL(`/approvals/${encodeURIComponent(id)}`, access.url);
    const response = await requestSidecar(access, url, { method: "POST", body: JSON.stringify({ allow, for: time }) });
    problem = typeof response === "string" ? response : response.ok ? undefined : await describeRefusal(response);
    if (typeof response === "string" || problem !== undefined) break;
    const result = await readJson(response);
    results.push(result);
    if (asJson) continue;
    const released = Number(result["released"]);
    const waited = released === 0 ? "nobody waits" : `${released} ${released === 1 ? "connection" : "connections"}`;
    io.tell(`${allow ? "Allowed" : "Denied"} ${String(result["target"])} ${describeTime(time)} (${waited}).`);
  }
  if (asJson) await io.print(`${formatJson(results, 2)}\n`);
  return problem === undefined ? exitCodes.ok : endWith(io, problem, exitCodes.failure);
}

function describeTime(time: AnswerTime): string {
  return time === "10m" ? "for 10 minutes" : time === "always" ? "for always, for everybody" : "once";
}

async function print({ approvals: open, answers }: Listed, io: CliIo): Promise<void> {
  if (open.length > 0) await io.print(formatQuestions(open));
  else io.tell("Nothing waits for an operator.");
  if (answers.length > 0) await io.print(`${open.length > 0 ? "\n" : ""}${formatAnswers(answers)}`);
}

/** Prints each question once, as it comes. */
async function watch(access: SidecarAccess, asJson: boolean, io: CliIo): Promise<number> {
  const leaving = new AbortController();
  const unsubscribe = io.onStopSignal(() => leaving.abort());
  let seen: ReadonlySet<string> = new Set();
  let isWatching = false;
  let code: number = exitCodes.ok;
  while (!leaving.signal.aborted) {
    const listed = await askAnswer(access, access.url, approvalsAnswer, leaving.signal);
    if (leaving.signal.aborted) break;
    if (listed.ok) {
      if (!isWatching) io.tell("Watching until SIGINT.");
      isWatching = true;
      const fresh = listed.value.approvals.filter(({ id }) => !seen.has(id));
      seen = new Set(listed.value.approvals.map(({ id }) => id));
      const text = asJson ? fresh.map((each) => `${formatJson(each)}\n`).join("") : formatQuestions(fresh, false);
      if (fresh.length > 0 && !(await io.print(text))) break;
    } else if (!isWatching || (listed.status !== undefined && isFinalStatus(listed.status))) {
      code = endWith(io, listed.message, exitCodes.failure);
      break;
    }
    await pause(LOOK_MS, leaving.signal);
  }
  unsubscribe();
  return code;
}
