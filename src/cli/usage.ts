import { isRecord } from "../config/plain-data.ts";
import { quoteValue } from "../config/problem.ts";
import { formatJson } from "../escape-text.ts";
import { describeRefusal, findExitCode } from "./ask-answer.ts";
import { askSidecar, readJson } from "./ask-sidecar.ts";
import { createCommand } from "./command.ts";
import { findSidecar, sidecarArgs } from "./find-sidecar.ts";
import { endWith, exitCodes } from "./io.ts";
import { formatUsage } from "./usage-table.ts";

const KINDS = ["user", "client", "target", "upstream"] as const;

/** `penstock usage`: what is used by whom, and of what, of a running proxy. */
export const usage = createCommand({
  name: "usage",
  description:
    "Show what users, clients, targets or upstreams of a running proxy use: now, today and in this month, and what is left of quotas. It needs the sidecar, and its token.",
  examples: [["penstock usage --by target --since 7d", "Show the largest targets of a week."]],
  args: {
    by: { type: "string", valueHint: KINDS.join("|"), description: "By what it is summed up. Default: user." },
    since: {
      type: "string",
      valueHint: "DAY",
      description: "Sort and sum up from this day on: today, month, a date such as 2026-11-01, or 7d. Default: today.",
    },
    top: { type: "string", valueHint: "N", description: "Show the N largest, the others as one sum. Default: 20." },
    json: { type: "boolean", description: "Print JSON, as the sidecar has it." },
    csv: { type: "boolean", description: "Print CSV: a line of titles, then one for each." },
    ...sidecarArgs,
  },
  async run(input) {
    const { io, value, has } = input;
    if (has("json") && has("csv")) return endWith(io, "Found --json and --csv. Give one of them.", exitCodes.usage);
    const by = value("by") ?? "user";
    if (!KINDS.some((kind) => kind === by))
      return endWith(io, `--by is ${quoteValue(by)}. Wanted is one of ${KINDS.join(", ")}.`, exitCodes.usage);
    const top = value("top") ?? "20";
    if (!/^[1-9][0-9]{0,4}$/.test(top))
      return endWith(io, `--top is ${quoteValue(top)}. Wanted is a number from 1 to 10000.`, exitCodes.usage);
    const access = await findSidecar(input, "/usage");
    if (typeof access === "string") return endWith(io, access, exitCodes.usage);
    const query = new URLSearchParams({ by, top, format: has("csv") ? "csv" : "json" });
    const since = value("since");
    if (since !== undefined) query.set("since", since);
    access.url.search = query.toString();
    const answer = await askSidecar(access, access.url, "GET");
    if (typeof answer === "string") return endWith(io, answer, exitCodes.failure);
    if (answer.status !== 200) {
      return endWith(io, await describeRefusal(answer), findExitCode(answer.status));
    }
    if (has("csv")) {
      await io.print(await answer.text());
      return exitCodes.ok;
    }
    const report = await readJson(answer);
    await io.print(has("json") ? `${formatJson(report, 2)}\n` : formatUsage(report));
    const rows = report["usage"];
    if (!has("json") && Array.isArray(rows) && rows.filter(isRecord).length === 0)
      io.tell(`Nothing was used yet by any ${by}${by === "user" ? ": there are no users, or none came" : ""}.`);
    return exitCodes.ok;
  },
});
