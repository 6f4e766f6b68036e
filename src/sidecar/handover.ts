import type { Hono } from "hono";
import type { ControlPort } from "./control-port.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { refuseQueries } from "./read-query.ts";

/** Serves `POST /handover`, which answers once another process accepts the connections, or says why none does. */
export function mountHandover(
  app: Hono,
  { operate: guard }: Guards,
  handOver: NonNullable<ControlPort["handOver"]>,
): void {
  app.post("/handover", guard, refuseQueries(["executable"]), async (context) => {
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
  });
  refuseOtherMethods(app, "/handover", "POST", guard);
}

/** The exit code of a process with an invalid configuration: EX_CONFIG of sysexits.h. */
const INVALID_CONFIGURATION = 78;
