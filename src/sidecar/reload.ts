import type { Hono } from "hono";
import * as z from "zod";
import type { ReloadAnswer } from "./control-port.ts";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

const reloadAnswer = z.object({ changes: z.array(z.string()).readonly(), warnings: z.array(z.string()).readonly() });

/** Serves `POST /reload`, which answers once the new configuration is in effect, or says why it is not. */
export function mountReload(app: Hono, { operate: guard }: Guards, reload: () => Promise<ReloadAnswer>): void {
  app.post(
    "/reload",
    describe({
      summary: "Reads the configuration again.",
      needs: "operate",
      answer: reloadAnswer,
      problems: [409, 422],
    }),
    guard,
    takeQuery(),
    async () => {
      const answer = await reload();
      switch (answer.kind) {
        case "done":
          return answerJson({ changes: answer.changes, warnings: answer.warnings });
        case "invalid":
          return answerProblem(
            422,
            "The new configuration cannot be used. The one before stays in effect.",
            {},
            {
              problems: answer.problems,
            },
          );
        case "refused":
          return answerProblem(409, answer.reason);
      }
    },
  );
  refuseOtherMethods(app, "/reload", "POST", guard);
}
