import type { Hono } from "hono";
import * as z from "zod";
import type { LiveTable } from "../proxy/record/live-table.ts";
import { type RequestRecord, STAGES } from "../proxy/record/request-record.ts";
import { readNotes } from "../proxy/tunnel/handshake-notes.ts";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem } from "./problem.ts";
import { takeQuery } from "./read-query.ts";
import { formatFlow, tunnelRow } from "./tunnel-row.ts";

const stageRow = z.object({
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
  stages: z.array(stageRow).readonly(),
  handshake: z
    .object({
      messages: z.array(message).readonly().describe("In the order in which they came."),
      hidden: z.string().optional().describe("Why there is no more, or nothing: one sentence."),
    })
    .describe("The TLS handshake inside a tunnel, as far as the proxy saw it."),
});
export type TunnelDetails = z.infer<typeof tunnelDetails>;

/** One that is under way, with all that is known of it; undefined when there is none of that id. `now` is monotonic, in milliseconds. */
export function describeTunnel(
  live: Pick<LiveTable, "sample" | "describe">,
  id: string,
  now: number,
): TunnelDetails | undefined {
  let details: TunnelDetails | undefined;
  live.sample({ id }, (kind, look) => {
    const { record } = look;
    details = {
      ...formatFlow(live.describe(kind, look, now)),
      member: record.carriage?.name,
      attempts: record.carriage?.attempt,
      status: record.status,
      stages: listStages(record, now),
      handshake: describeHandshake(kind, record),
    };
  });
  return details;
}

function listStages(record: RequestRecord, now: number): TunnelDetails["stages"] {
  const { stageMs, openStage, acceptedAt, stageSince } = record;
  const over = STAGES.flatMap((name) => {
    const ms = name === openStage ? undefined : stageMs[name];
    return ms === undefined ? [] : [{ name, ms }];
  });
  // Each began when the one before it had ended. A stage that was tried again has the time of its last try.
  let at = 0;
  const stages = over.map(({ name, ms }) => {
    const stage = { name, at_ms: roundMs(at), ms: roundMs(ms) };
    at += ms;
    return stage;
  });
  return [...stages, { name: openStage, at_ms: roundMs(stageSince - acceptedAt), ms: roundMs(now - stageSince) }];
}

function describeHandshake(kind: "tunnel" | "request", { inside, runtime }: RequestRecord): TunnelDetails["handshake"] {
  const tls = inside?.tls;
  const messages = tls === undefined ? [] : readNotes(tls.messages);
  return {
    messages: messages.map(({ from, name, bytes, atMs, encrypted }) => ({
      from,
      name,
      bytes,
      at_ms: roundMs(atMs),
      ...(encrypted && { encrypted }),
    })),
    hidden: explainHidden(kind, inside, runtime.inspect.tls),
  };
}

/** Why not all of a handshake was seen. */
function explainHidden(
  kind: "tunnel" | "request",
  inside: RequestRecord["inside"],
  isInspected: boolean,
): string | undefined {
  if (kind === "request") return "A forwarded request has no tunnel in which there could be a handshake.";
  if (inside?.tls === undefined) {
    if (inside === undefined) return isInspected ? undefined : 'Nobody looks into tunnels: "inspect" says so.';
    if (inside.protocol === undefined) return "Too little was said in the tunnel so far.";
    return inside.protocol === "tls" ? "The ClientHello is not whole." : `It speaks no TLS: ${inside.protocol}.`;
  }
  if (inside.tls.messages.length === 0) return "The handshake passed in another process, before a hand-over.";
  return (inside.tls.version ?? 0) >= TLS13
    ? "TLS 1.3 encrypts all that follows the ServerHello, and the proxy has no keys: EncryptedExtensions, the certificate and Finished are not seen."
    : undefined;
}

function roundMs(ms: number): number {
  return Math.round(Math.max(0, ms) * 1000) / 1000;
}

const TLS13 = 0x0304;

/** Serves `GET /tunnels/:id`: one tunnel or forwarded request with its stages and its TLS handshake. */
export function mountTunnelDetails(app: Hono, guards: Guards, find: (id: string) => TunnelDetails | undefined): void {
  app.get(
    "/tunnels/:id",
    describe({
      summary: "Shows a tunnel with its stages and its TLS handshake.",
      needs: "read",
      answer: tunnelDetails,
      problems: [404],
    }),
    guards.read,
    takeQuery(),
    (context) => {
      const details = find(context.req.param("id"));
      return details === undefined ? answerProblem(404, "There is no tunnel of that id.") : answerJson(details);
    },
  );
}
