import type { Hono, MiddlewareHandler } from "hono";
import * as z from "zod";
import { ANSWER_TIMES, type OpenQuestion, type Verdict } from "../approvals/approval-table.ts";
import { describe } from "./describe-route.ts";
import type { Guards, HolderEnv } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

/** An answer that holds for a time. */
export interface HeldAnswer {
  readonly id: string;
  readonly user: string | undefined;
  readonly client: string;
  readonly target: string;
  readonly rule: string;
  readonly allow: boolean;
  readonly for: "once" | "10m";
  readonly by: string;
  readonly leftMs: number;
}

/** What came of an answer. */
export type AnswerOutcome =
  /** `released`: connections that waited for it. */
  | { readonly kind: "done"; readonly target: string; readonly released: number }
  | { readonly kind: "unknown" }
  /** `reason`: the rest of a sentence. */
  | { readonly kind: "refused"; readonly reason: string };

/** What operators are asked, and their answers. */
export interface ApprovalControl {
  /** The open questions, the oldest first. */
  questions(): readonly OpenQuestion[];
  answers(): readonly HeldAnswer[];
  /** Whether there is a file for what is allowed for always. */
  readonly keepsAlways: boolean;
  answer(id: string, verdict: Verdict): Promise<AnswerOutcome>;
}

const openApproval = z.object({
  id: z.string(),
  user: z.string().optional(),
  client: z.string().describe("Address of the client that asked first."),
  host: z.string(),
  port: z.int(),
  target: z.string().describe("`host:port`."),
  rule: z.string().describe("The rule that asks, or `default`."),
  asked_at: z.string(),
  age_ms: z.int(),
  waiting: z.int().describe("Connections that wait for the answer now."),
});

const heldAnswer = z.object({
  id: z.string(),
  user: z.string().optional(),
  client: z.string(),
  target: z.string(),
  rule: z.string(),
  allow: z.boolean(),
  for: z.enum(["once", "10m"]),
  by: z.string().describe("Name of the token, or `sidecar.token`."),
  left_ms: z.int(),
});

/** The answer of `GET /approvals`. */
export const approvalsAnswer = z.object({
  approvals: z.array(openApproval).readonly().describe("Questions without an answer, the oldest first."),
  answers: z.array(heldAnswer).readonly().describe("Answers that hold for a time."),
  always: z.boolean().describe("Whether there is a file for the answer `always`."),
});

/** The answer of `POST /approvals/ID`. */
const answeredApproval = z.object({
  id: z.string(),
  target: z.string(),
  allow: z.boolean(),
  for: z.enum(ANSWER_TIMES),
  released: z.int().describe("Connections that waited for it."),
});

const answerBody = z.strictObject({
  allow: z.boolean(),
  for: z
    .enum(ANSWER_TIMES)
    .describe("`once`: those who wait now. `10m`: the same user, or client, for ten minutes. `always`: everybody.")
    .default("once"),
});

/** Characters of the body of an answer. */
const MAX_BODY = 1000;

/** Serves `/approvals`: what operators are asked, and their answers. */
export function mountApprovals(
  app: Hono,
  { read, operate }: Guards,
  holder: MiddlewareHandler<HolderEnv>,
  control: ApprovalControl,
): void {
  app.get(
    "/approvals",
    describe({ summary: "Lists what operators are asked.", needs: "read", answer: approvalsAnswer }),
    read,
    takeQuery(),
    () => {
      const now = Date.now();
      return answerJson({
        approvals: control.questions().map((question) => formatQuestion(question, now)),
        answers: control.answers().map(({ leftMs, ...answer }) => ({ ...answer, left_ms: leftMs })),
        always: control.keepsAlways,
      });
    },
  );
  app.post(
    "/approvals/:id",
    describe({
      summary: "Answers a question.",
      body: answerBody,
      needs: "operate",
      answer: answeredApproval,
      problems: [404, 409],
    }),
    operate,
    holder,
    takeQuery(),
    async (context) => {
      const id = context.req.param("id");
      const body = readBody(await context.req.text());
      if (typeof body === "string") return answerProblem(400, body);
      const by = context.var.holder.name ?? "sidecar.token";
      const outcome = await control.answer(id, { ...body, by });
      switch (outcome.kind) {
        case "done":
          return answerJson({ id, target: outcome.target, ...body, released: outcome.released });
        case "unknown":
          return answerProblem(404, "There is no question of that id: it may be answered, or too old.");
        case "refused":
          return answerProblem(409, `This cannot be kept for always: ${outcome.reason}.`);
        default:
          return outcome satisfies never;
      }
    },
  );
  refuseOtherMethods(app, "/approvals", "GET, HEAD", read);
  refuseOtherMethods(app, "/approvals/:id", "POST", operate);
}

const WANTED = 'Write JSON such as { "allow": true, "for": "10m" }; "for" is "once", "10m" or "always".';

/** The verdict in a body, or what is wrong with it. */
function readBody(text: string): Omit<Verdict, "by"> | string {
  if (text.length > MAX_BODY) return `The body is too long. ${WANTED}`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return `The body is not JSON. ${WANTED}`;
  }
  const read = answerBody.safeParse(value);
  if (!read.success) return `The body is not an answer. ${WANTED}`;
  if (!read.data.allow && read.data.for === "always")
    return 'Nothing is denied for always here. Deny "once" or for "10m", and write a rule that denies.';
  return read.data;
}

function formatQuestion(question: OpenQuestion, now: number): z.input<typeof openApproval> {
  const { id, user, client, host, port, rule, askedAt, waiting } = question;
  const target = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const asked_at = new Date(askedAt).toISOString();
  return { id, user, client, host, port, target, rule, asked_at, age_ms: Math.max(0, now - askedAt), waiting };
}
