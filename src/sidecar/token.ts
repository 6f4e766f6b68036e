import type { Hono, MiddlewareHandler } from "hono";
import * as z from "zod";
import { describe } from "./describe-route.ts";
import type { HolderEnv } from "./guard.ts";
import { answerJson, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

/** The answer of `GET /token`. */
export const tokenAnswer = z.object({
  name: z.string().optional().describe("In `sidecar.tokens`; absent for `sidecar.token`, which may do everything."),
  may: z.array(z.enum(["read", "operate", "capture"])).readonly(),
});

/** Serves `GET /token`: what the token of the request may do, so that a page offers nothing else. */
export function mountToken(app: Hono, holder: MiddlewareHandler<HolderEnv>): void {
  app.get(
    "/token",
    describe({ summary: "Says what the token of the request may do.", needs: "any", answer: tokenAnswer }),
    holder,
    takeQuery(),
    ({ var: { holder: token } }) =>
      answerJson({ ...(token.name !== undefined && { name: token.name }), may: [...token.may] }),
  );
  refuseOtherMethods(app, "/token", "GET, HEAD", holder);
}
