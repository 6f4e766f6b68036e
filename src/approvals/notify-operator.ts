import { callHook, type HookFault, type HookReport } from "../proxy/hook/call-hook.ts";
import { postToWebhook, type Webhook } from "../proxy/hook/webhook.ts";
import type { OpenQuestion } from "./approval-table.ts";

/** Who is told of questions. */
export type NotifyPlan =
  | {
      readonly kind: "function";
      readonly call: (question: ReturnType<typeof describeQuestion>) => unknown;
      readonly ms: number;
    }
  | { readonly kind: "webhook"; readonly webhook: Webhook };

/** Calls under way at the same time: the operator has the events besides. */
const AT_ONCE = 32;

/** Tells the function or the webhook of the configuration of questions, and reports when that fails. */
export class OperatorNotifier {
  readonly #report: (report: HookReport) => void;
  #underWay = 0;

  constructor(report: (report: HookReport) => void) {
    this.#report = report;
  }

  /** Resolves when it was told, or not. */
  async tell(plan: NotifyPlan, question: OpenQuestion): Promise<void> {
    const hook = `${plan.kind} of approvals.notify`;
    if (this.#underWay >= AT_ONCE) {
      this.#report({ hook, fault: { why: `was not told of a question: ${AT_ONCE} calls are under way` } });
      return;
    }
    this.#underWay += 1;
    const fault = await notify(plan, question);
    this.#underWay -= 1;
    if (fault !== undefined) this.#report({ hook, fault });
  }
}

async function notify(plan: NotifyPlan, question: OpenQuestion): Promise<HookFault | undefined> {
  const facts = describeQuestion(question);
  if (plan.kind === "function") {
    const called = await callHook(() => plan.call(facts), plan.ms);
    return called.ok ? undefined : called.fault;
  }
  const posted = await postToWebhook(plan.webhook, facts);
  if (posted.kind === "failed") return { what: "webhook", why: posted.why };
  const isTold = posted.status >= 200 && posted.status < 300;
  return isTold ? undefined : { what: "webhook", why: `answered with ${posted.status}` };
}

/** What is told of a question. */
function describeQuestion({ id, user, client, host, port, rule, askedAt }: OpenQuestion) {
  return { id, user, client, host, port, rule, asked_at: new Date(askedAt).toISOString() };
}
