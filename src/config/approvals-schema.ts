import { resolve } from "node:path";
import type { ApprovalBounds } from "../approvals/approval-table.ts";
import type { NotifyPlan } from "../approvals/notify-operator.ts";
import type { StateFolderPlan } from "../state/state-folder.ts";
import { count, either, hook, settings, text } from "./fields.ts";
import type { Materials } from "./materials.ts";
import type { Problem } from "./problem.ts";
import type * as z from "zod";
import { type References, serverReferences } from "./references.ts";
import { compileWebhook, findWebhookWarnings, noticeSchema } from "./webhook-schema.ts";

/** What is told of a question. */
export interface AskedApproval {
  /** For `POST /approvals/ID` and `penstock approvals approve ID`. */
  readonly id: string;
  readonly user: string | undefined;
  readonly client: string;
  readonly host: string;
  readonly port: number;
  readonly rule: string;
  /** ISO 8601. */
  readonly asked_at: string;
}

/** Tells an operator that somebody asks. What it gives back is ignored. */
export type NotifyOperator = (question: AskedApproval) => unknown;

export const approvalsReferences: References = { texts: {}, parts: { notify: serverReferences } };

export const approvalsSchema = settings({
  list: text("the path of a file")
    .describe(
      "File to which the answer `always` adds a target, relative to the configuration file: a list with one entry a line, which rules can name as well. It holds for everybody that a rule asks about. The proxy makes it, for its own user alone (0600), and reads it again when it changes. Default: `approvals.txt` in `state.folder`; without a folder `always` is refused.",
    )
    .optional(),
  max: count(1, 100_000)
    .describe("Connections that wait for an answer, and questions that are open, in all. More are refused with 429.")
    .default(256),
  maxPerClient: count(1, 100_000)
    .describe("The same for each user, or for each client without a user (`limits.perClient.prefix`).")
    .default(16),
  notify: either("a function, or a map with the url of a webhook", [
    hook<NotifyOperator>("NotifyOperator", "a function"),
    noticeSchema,
  ])
    .describe(
      "Function or webhook that is told of each new question, with `id`, `user`, `client`, `host`, `port`, `rule` and `asked_at`. Its answer decides nothing. Default: none; `/events` has each question in any case.",
    )
    .optional(),
})
  .describe("Approvals: what rules with `ask` ask operators.")
  .prefault({});

/** Approvals of a configuration. */
export interface ApprovalsPlan {
  readonly bounds: ApprovalBounds;
  /** Absolute path of the list; undefined where nothing can be allowed for always. */
  readonly list: string | undefined;
  readonly notify: NotifyPlan | undefined;
}

/** Compiles approvals that the schema has accepted. */
export function compileApprovals(
  { list, max, maxPerClient, notify }: z.output<typeof approvalsSchema>,
  materials: Materials,
  state: StateFolderPlan | undefined,
  hookMs: number,
): { readonly plan: ApprovalsPlan; readonly problems: readonly Problem[] } {
  const path = list !== undefined ? resolve(materials.folder, list) : state && resolve(state.path, "approvals.txt");
  const plan = { bounds: { max, maxPerClient }, list: path };
  if (notify === undefined) return { plan: { ...plan, notify: undefined }, problems: [] };
  if (typeof notify === "function")
    return { plan: { ...plan, notify: { kind: "function", call: notify, ms: hookMs } }, problems: [] };
  const { webhook, problems } = compileWebhook(notify, {
    path: ["approvals", "notify"],
    timeoutMs: hookMs,
    materials,
  });
  return { plan: { ...plan, notify: { kind: "webhook", webhook } }, problems };
}

/** Warns of questions, and of the secrets in `headers`, that are sent without TLS. */
export function findApprovalWarnings({ notify }: z.output<typeof approvalsSchema>): Problem[] {
  return notify === undefined || typeof notify === "function"
    ? []
    : findWebhookWarnings(notify, ["approvals", "notify"], 'read who asks for what, and the secrets in "headers"');
}
