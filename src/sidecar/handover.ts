import type { Hono } from "hono";
import * as z from "zod";
import type { ControlPort } from "./control-port.ts";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

const handoverAnswer = z.object({ pid: z.int(), version: z.string() });
const handoverQuery = z.object({
  executable: z.string().describe("Absolute path of the program. Default: this one.").optional(),
});

/** Serves `POST /handover`, which answers once another process accepts the connections, or says why none does. */
export function mountHandover(
  app: Hono,
  { operate: guard }: Guards,
  handOver: NonNullable<ControlPort["handOver"]>,
): void {
  app.post(
    "/handover",
    describe({
      summary: "Hands over to a new process.",
      needs: "operate",
      answer: handoverAnswer,
      problems: [409, 422, 500],
    }),
    guard,
    takeQuery(handoverQuery),
    async (context) => {
      const executable = context.req.query("executable");
      if (executable !== undefined && !/^\/[^\0]+$/.test(executable))
        return answerProblem(400, "executable must be the absolute path of a program.");
      const answer = await handOver(executable);
      switch (answer.kind) {
        case "done":
          return answerJson({ pid: answer.pid, version: answer.program });
        case "refused":
          return answerProblem(409, answer.reason);
        case "failed": {
          const { code, reason, problems } = answer;
          const detail = `${reason} The old process goes on as before.`;
          return answerProblem(code === INVALID_CONFIGURATION ? 422 : 500, detail, {}, { problems });
        }
      }
    },
  );
  refuseOtherMethods(app, "/handover", "POST", guard);
}

/** The exit code of a process with an invalid configuration: EX_CONFIG of sysexits.h. */
const INVALID_CONFIGURATION = 78;
