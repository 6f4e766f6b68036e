import type { Hono } from "hono";
import * as z from "zod";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

/** Who would ask for what, as it is written. */
interface ExplainQuestion {
  readonly target: string;
  readonly user: string | undefined;
  readonly from: string | undefined;
  readonly at: string | undefined;
  /** Explain every rule of a long policy. */
  readonly all: boolean;
}

/** What the proxy would do; or what is wrong with the question. */
type ExplainOutcome =
  | { readonly kind: "explained"; readonly facts: Readonly<Record<string, unknown>> }
  | { readonly kind: "wrong"; readonly reason: string }
  /** Too many are answered at the moment. */
  | { readonly kind: "busy" };

export type ExplainControl = (question: ExplainQuestion) => Promise<ExplainOutcome>;

const explainQuery = z.object({
  target: z
    .string({ error: "Missing target: host:port or a URL." })
    .describe("`host:port` or a URL; without a port, 443."),
  user: z.string().describe("As the client sends the name, parameters included. Default: nobody.").optional(),
  from: z.string().describe("IP address of the client. Default: 127.0.0.1.").optional(),
  at: z.string().describe("Time with its zone, such as `2026-12-31T18:00Z`. Default: now.").optional(),
  all: z.string().describe("`true` explains all rules. Default: the first 20 and the one that decides.").optional(),
});

/** The answer of `GET /explain`: as `penstock explain --json`. */
const explainAnswer = z.looseObject({
  target: z.string(),
  client: z.string(),
  verdict: z.string(),
  allowed: z.boolean().describe("False also where an operator is asked first."),
});

/** Serves `GET /explain`: what the proxy would do with a tunnel, and why. */
export function mountExplain(app: Hono, { read: guard }: Guards, explain: ExplainControl): void {
  app.get(
    "/explain",
    describe({
      summary: "Shows what the proxy would do with a tunnel, and why. Nothing is dialled.",
      needs: "read",
      answer: explainAnswer,
    }),
    guard,
    takeQuery(explainQuery),
    async (context) => {
      const query = new URL(context.req.url).searchParams;
      const [user, from, at] = ["user", "from", "at"].map((name) => query.get(name) ?? undefined);
      const all = query.get("all") ?? "false";
      if (all !== "true" && all !== "false")
        return answerProblem(400, `all is ${JSON.stringify(all)}. Wanted is true or false.`);
      const outcome = await explain({ target: query.get("target") ?? "", user, from, at, all: all === "true" });
      switch (outcome.kind) {
        case "explained":
          return answerJson(outcome.facts);
        case "wrong":
          return answerProblem(400, outcome.reason);
        case "busy":
          return answerProblem(429, "Other targets are explained at the moment. Ask again.", { "Retry-After": "1" });
        default:
          return outcome satisfies never;
      }
    },
  );
  refuseOtherMethods(app, "/explain", "GET, HEAD", guard);
}
