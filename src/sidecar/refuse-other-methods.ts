import type { Hono, MiddlewareHandler } from "hono";
import { answerProblem } from "./problem.ts";

/** Answers 405 to every method of a path that no route before it took. */
export function refuseOtherMethods(app: Hono, path: string, allow: string, guard?: MiddlewareHandler): void {
  if (guard !== undefined) app.all(path, guard);
  app.all(path, () => answerProblem(405, `This path knows only ${allow}.`, { Allow: allow }));
}
