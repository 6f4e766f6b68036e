import type { Hono } from "hono";
import type { ReloadAnswer } from "./control-port.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { refuseQueries } from "./read-query.ts";

/** Serves `POST /reload`, which answers once the new configuration is in effect, or says why it is not. */
export function mountReload(app: Hono, { operate: guard }: Guards, reload: () => Promise<ReloadAnswer>): void {
  app.post("/reload", guard, refuseQueries([]), async () => {
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
  });
  refuseOtherMethods(app, "/reload", "POST", guard);
}
