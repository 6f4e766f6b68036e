import type { Hono } from "hono";
import { generateSpecs } from "hono-openapi";
import * as z from "zod";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerJson, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

/** Serves `GET /openapi.json`: all routes of the app, in OpenAPI 3.1. It is made when somebody asks for it. */
export function mountOpenApi(app: Hono, guards: Guards, version: string): void {
  let made: Promise<unknown> | undefined;
  app.get(
    "/openapi.json",
    describe({ summary: "Describes the routes.", needs: "read", answer: z.looseObject({ openapi: z.string() }) }),
    guards.read,
    takeQuery(),
    async () => answerJson(await (made ??= generate(app, version))),
  );
  refuseOtherMethods(app, "/openapi.json", "GET, HEAD", guards.read);
}

function generate(app: Hono, version: string): Promise<unknown> {
  return generateSpecs(app, {
    documentation: {
      openapi: "3.1.0",
      info: { title: "Penstock", description: "The sidecar of a proxy.", version },
      components: {
        securitySchemes: {
          token: {
            type: "http",
            scheme: "bearer",
            description: "`sidecar.token`, or one of `sidecar.tokens` that may do it.",
          },
        },
      },
    },
    // Paths with a dot are routes here.
    excludeStaticFile: false,
    defaultValidationErrorResponse: false,
  });
}
