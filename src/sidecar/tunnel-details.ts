import type { Hono } from "hono";
import * as z from "zod";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem } from "./problem.ts";
import { refuseQueries } from "./read-query.ts";
import { tunnelRow } from "./tunnel-row.ts";

const stage = z.object({
  name: z.string().describe("As in `stage_ms` of the access line."),
  at_ms: z.number().describe("When it began, after the client connected or its request began."),
  ms: z.number().describe("How long it took; of the last one, so far."),
});

const message = z.object({
  from: z.enum(["client", "server"]),
  name: z.string().describe("In the words of `penstock trace`."),
  bytes: z.int(),
  at_ms: z.number().describe("After the ClientHello, when it had come whole."),
  encrypted: z.boolean().optional().describe("It is encrypted: the name says all that is known."),
});

/** The answer of `GET /tunnels/:id`. */
export const tunnelDetails = tunnelRow.extend({
  member: z.string().optional().describe("The members of pools that carry it."),
  attempts: z.int().optional(),
  status: z.int().optional().describe("Sent to the client."),
  stages: z.array(stage).readonly(),
  handshake: z
    .object({
      messages: z.array(message).readonly().describe("In the order in which they came."),
      hidden: z.string().optional().describe("Why there is no more, or nothing: one sentence."),
    })
    .describe("The TLS handshake inside a tunnel, as far as the proxy saw it."),
});
export type TunnelDetails = z.infer<typeof tunnelDetails>;

/** Serves `GET /tunnels/:id`: one tunnel or forwarded request with its stages and its TLS handshake. */
export function mountTunnelDetails(app: Hono, guards: Guards, find: (id: string) => TunnelDetails | undefined): void {
  app.get("/tunnels/:id", guards.read, refuseQueries([]), (context) => {
    const details = find(context.req.param("id"));
    return details === undefined ? answerProblem(404, "There is no tunnel of that id.") : answerJson(details);
  });
}
