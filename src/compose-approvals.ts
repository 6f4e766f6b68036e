import { randomUUID } from "node:crypto";
import { ApprovalTable, formatListEntry, type OpenQuestion, type Verdict } from "./approvals/approval-table.ts";
import { ApprovalsFile } from "./approvals/approvals-file.ts";
import { carryApprovals } from "./approvals/carry-approvals.ts";
import { OperatorNotifier } from "./approvals/notify-operator.ts";
import type { InUse } from "./apply-config.ts";
import { parseTargetPattern } from "./config/target-pattern.ts";
import { cutText, escapeText } from "./escape-text.ts";
import type { Gate } from "./gate/gate.ts";
import type { CarriedState } from "./handover/carried-state.ts";
import type { Tell } from "./operator-message.ts";
import { QuietTeller } from "./proxy/record/quiet-teller.ts";
import type { AnswerOutcome, ApprovalControl } from "./sidecar/approvals.ts";
import type { DrainState } from "./sidecar/control-port.ts";

interface ApprovalParts {
  readonly gate: Gate;
  readonly inUse: InUse;
  readonly tell: Tell;
}

/** Who asked for what, as events have it. */
interface Asker {
  readonly id: string;
  readonly user: string | undefined;
  readonly client: string;
  readonly target: string;
  readonly rule: string;
}

/** What a daemon does with approvals. */
interface ComposedApprovals {
  readonly control: ApprovalControl;
  /** What an operator has said already about a question, which is not asked by that. */
  readonly look: ApprovalTable["look"];
  /** What the next process is to know. */
  readonly carried: CarriedState;
  /** Uses the bounds of the configuration in effect. */
  follow(): void;
  /** Nobody waits while the proxy leaves. */
  step(phase: DrainState["phase"]): void;
}

/** Composes what rules that ask need: the questions, the list of what is always allowed, and who is told. */
export function composeApprovals({ gate, inUse, tell }: ApprovalParts): ComposedApprovals {
  const plan = () => inUse.compiled.approvals;
  const file = new ApprovalsFile({
    path: () => plan().list,
    readEntry(entry) {
      const read = parseTargetPattern(entry);
      return read.ok ? read.value : read.reason;
    },
    tell,
  });
  const teller = new QuietTeller((message) => tell(message, "warn"));
  const notifier = new OperatorNotifier(({ hook, fault }) =>
    teller.report(hook, (silenced) => {
      const thrown = fault.thrown === undefined ? "" : ` ${fault.thrown(inUse.compiled.secrets)}`;
      const before = silenced === 0 ? "" : ` So did ${silenced} calls before it.`;
      return `The ${hook} ${fault.why}${thrown}. The question is at the sidecar all the same.${before}`;
    }),
  );
  const publish = (change: string, asker: Asker, more: Readonly<Record<string, unknown>> = {}) => {
    const { id, user, client, target, rule } = asker;
    gate.events.publish("approval", { change, id, user, client, target, rule, ...more }, { user, target });
  };
  const table = new ApprovalTable({
    bounds: plan().bounds,
    now: () => performance.now(),
    date: Date.now,
    createId: () => randomUUID().slice(0, 8),
    isListed: (target) => file.has(target),
    asked(question) {
      const { notify } = plan();
      publish("asked", describe(question));
      if (notify !== undefined) void notifier.tell(notify, question);
    },
    unanswered: (question) => publish("unanswered", describe(question)),
  });
  gate.approvals = table;

  const answer = async (id: string, verdict: Verdict): Promise<AnswerOutcome> => {
    const found = table.find(id);
    if (found === undefined) return { kind: "unknown" };
    const { allow, for: time, by } = verdict;
    const target = formatListEntry(found.target);
    if (time === "always") {
      const date = new Date().toISOString();
      const reason = await file.add(found.target, `asked by ${nameAsker(found)}, allowed by ${by}, ${date}`);
      if (reason !== undefined) return { kind: "refused", reason };
    }
    // Somebody else may have answered while the file was written: then it holds from the next time on.
    const released = table.answer(id, verdict) ?? 0;
    publish("answered", { id, ...found, target }, { allow, for: time, by, waiting: released });
    const what = `${nameAsker(found)} to ${target}: ${allow ? "allowed" : "denied"} ${describeTime(time)} by ${by}`;
    tell(escapeText(`Approval ${id} of rule ${cutText(found.rule, MAX_NAME)}, ${what}.`), "info");
    return { kind: "done", target, released };
  };
  return {
    control: {
      questions: () => table.list(),
      answers() {
        const now = performance.now();
        return table.grants.list().map(({ id, user, client, rule, allow, by, target, once, until }) => ({
          id,
          user,
          client,
          rule,
          allow,
          by,
          target: formatListEntry(target),
          for: once ? "once" : "10m",
          leftMs: Math.round(until - now),
        }));
      },
      get keepsAlways() {
        return plan().list !== undefined;
      },
      answer,
    },
    look: (question) => table.look(question),
    carried: carryApprovals(table.grants),
    follow() {
      table.bounds = plan().bounds;
    },
    step: (phase) => (phase === "serving" || phase === "lame_duck" ? table.open() : table.close()),
  };
}

/** Characters of a name in a message. */
const MAX_NAME = 100;

function nameAsker({ user, client }: Pick<Asker, "user" | "client">): string {
  return user === undefined ? `client ${client}` : `user ${cutText(user, MAX_NAME)}`;
}

function describeTime(time: Verdict["for"]): string {
  return time === "10m" ? "for 10 minutes" : time === "always" ? "for always, for everybody" : "once";
}

function describe({ id, user, client, host, port, rule }: OpenQuestion): Asker {
  return { id, user, client, target: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`, rule };
}
