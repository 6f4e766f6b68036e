import type { Hono } from "hono";
import * as z from "zod";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerJson, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

const certificate = z.object({
  used_by: z
    .string()
    .describe(
      "The listener as bound, `host:port`; `sidecar`; or `upstream NAME`, with the number of others that are shown the same.",
    ),
  file: z.string().describe("As the configuration names it; in the folder of the state for one of `acme`."),
  names: z
    .array(z.string())
    .readonly()
    .describe("Names and addresses that it is for; the common name where it has none."),
  issuer: z.string(),
  not_before: z.iso.datetime(),
  not_after: z.iso.datetime(),
  days: z.int().describe("Whole days until it ends; negative once it has ended."),
  warnings: z.array(z.string()).readonly(),
  renewal: z
    .object({
      directory: z.string().describe("That of the authority."),
      next_at: z.iso.datetime().optional().describe("When the proxy will order the next one."),
      failures: z.int().nonnegative().describe("Orders that failed since the last one that did not."),
      problem: z.string().optional().describe("Why the last one failed."),
    })
    .optional()
    .describe("Of a certificate that an authority issues (`acme`)."),
});
export type CertificateRow = z.infer<typeof certificate>;

/** The answer of `GET /certificates`. */
export const certificatesAnswer = z.object({
  certificates: z.array(certificate).readonly().describe("The first to end first."),
});

/** Serves `GET /certificates`: the certificates that are shown to clients and to upstreams. */
export function mountCertificates(app: Hono, guards: Guards, certificates: () => readonly CertificateRow[]): void {
  app.get(
    "/certificates",
    describe({
      summary: "Shows the certificates of listeners, of the sidecar, and for upstreams.",
      needs: "read",
      answer: certificatesAnswer,
    }),
    guards.read,
    takeQuery(),
    () => answerJson({ certificates: certificates() }),
  );
  refuseOtherMethods(app, "/certificates", "GET, HEAD", guards.read);
}
