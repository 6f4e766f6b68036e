import type { Hono } from "hono";
import * as z from "zod";
import type { Capture, CaptureOptions } from "../proxy/record/capture.ts";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerProblem } from "./problem.ts";
import { flowQuery, readCaptureFilter, takeQuery } from "./read-query.ts";
import { streamChunks } from "./stream-chunks.ts";

/** Starts and ends captures. */
export interface CaptureControl {
  /** Undefined when the maximum number of captures is running. */
  start(options: CaptureOptions): Capture | undefined;
  /** False when there is none of that id. */
  stop(id: string): boolean;
}

/** Media type that Wireshark registers; the format has no official one. */
const CAPTURE_TYPE = "application/x-pcapng";
const LEGS = ["client", "target", "both"] as const;
/** The largest packet there is. */
const MAX_SNAP_LENGTH = 262_144;

const captureQuery = flowQuery.pick({ host: true, user: true, id: true }).extend({
  legs: z
    .string()
    .describe(`One of ${LEGS.join(", ")}. Default: client.`)
    .optional(),
  snaplen: z.string().describe("Bytes of a packet that are kept; 0 keeps all. Default: 0.").optional(),
});

/** Serves `GET /capture`, a capture that goes on until its reader leaves, and `DELETE /capture/:id`, which ends one in order. */
export function mountCapture(
  app: Hono,
  { capture: guard }: Guards,
  control: CaptureControl,
  hasTunnel: (id: string) => boolean,
): void {
  app.get(
    "/capture",
    describe({
      summary: "Streams what passes through tunnels, as pcapng.",
      needs: "capture",
      answer: CAPTURE_TYPE,
      problems: [404],
    }),
    guard,
    takeQuery(captureQuery),
    (context) => {
      const options = readOptions(new URL(context.req.url).searchParams);
      if (typeof options === "string") return answerProblem(400, options);
      // Ids are not reused: the capture would stay empty.
      if (options.filter.id !== undefined && !hasTunnel(options.filter.id))
        return answerProblem(404, "There is no tunnel of that id.");
      // HEAD requests come here as well and must not start a capture.
      if (context.req.method === "HEAD") return context.body(null, 200, { "Content-Type": CAPTURE_TYPE });
      const capture = control.start(options);
      if (capture === undefined)
        return answerProblem(429, "The maximum number of captures is running. End one of them.", {
          "Retry-After": "10",
        });
      return context.body(streamChunks(capture), 200, {
        "Content-Type": CAPTURE_TYPE,
        "Capture-Id": capture.id,
        // It has no length: it lasts until it is ended.
        "Transfer-Encoding": "chunked",
      });
    },
  );
  app.delete(
    "/capture/:id",
    describe({ summary: "Ends a capture in order.", needs: "capture", problems: [404] }),
    guard,
    takeQuery(),
    (context) => {
      return control.stop(context.req.param("id"))
        ? context.body(null, 204)
        : answerProblem(404, "There is no capture of that id.");
    },
  );
}

/** The options in the query, or what is wrong with it. */
function readOptions(query: URLSearchParams): CaptureOptions | string {
  const legs = LEGS.find((known) => known === (query.get("legs") ?? "client"));
  if (legs === undefined) return `legs must be one of ${LEGS.join(", ")}.`;
  const snap = query.get("snaplen") ?? "0";
  const snapLength = /^[0-9]{1,6}$/.test(snap) ? Number(snap) : Infinity;
  if (snapLength > MAX_SNAP_LENGTH) return `snaplen must be a number of bytes up to ${MAX_SNAP_LENGTH}; 0 keeps all.`;
  const filter = readCaptureFilter(query);
  return typeof filter === "string" ? filter : { filter, legs, snapLength };
}
