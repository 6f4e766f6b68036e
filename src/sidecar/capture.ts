import type { Hono, MiddlewareHandler } from "hono";
import { toAsciiHost } from "../address/host.ts";
import type { Capture, CaptureOptions } from "../proxy/record/capture.ts";
import type { CaptureFilter } from "../proxy/record/capture-filter.ts";
import { answerProblem } from "./problem.ts";

/** Starts and ends captures. */
export interface CaptureControl {
  /** Undefined when there are as many as there may be. */
  start(options: CaptureOptions): Capture | undefined;
  /** False when there is none of that id. */
  stop(id: string): boolean;
}

/** Media type that Wireshark registers for its captures; the format has no other. */
const CAPTURE_TYPE = "application/x-pcapng";
const PARAMETERS = ["host", "user", "id", "legs", "snaplen"];
const LEGS = ["client", "target", "both"] as const;
/** The largest packet there is. */
const MAX_SNAP_LENGTH = 262_144;

/** Serves `GET /capture`, a capture that goes on until its reader leaves, and `DELETE /capture/:id`, which ends one in order. */
export function mountCapture(app: Hono, guard: MiddlewareHandler, control: CaptureControl): void {
  app.get("/capture", guard, (context) => {
    const options = readOptions(new URL(context.req.url).searchParams);
    if (typeof options === "string") return answerProblem(400, options);
    // A HEAD request comes here, too, and must not begin anything.
    if (context.req.method === "HEAD") return context.body(null, 200, { "Content-Type": CAPTURE_TYPE });
    const capture = control.start(options);
    if (capture === undefined)
      return answerProblem(429, "There are as many captures as there may be. End one of them.", {
        "Retry-After": "10",
      });
    return context.body(streamCapture(capture), 200, { "Content-Type": CAPTURE_TYPE, "Capture-Id": capture.id });
  });
  app.delete("/capture/:id", guard, (context) =>
    control.stop(context.req.param("id") ?? "")
      ? context.body(null, 204)
      : answerProblem(404, "There is no capture of that id."),
  );
}

/** What the query asks for, or what is wrong with it. */
function readOptions(query: URLSearchParams): CaptureOptions | string {
  for (const name of query.keys()) {
    if (!PARAMETERS.includes(name))
      return `There is no parameter ${JSON.stringify(name)}. Known are ${PARAMETERS.join(", ")}.`;
    if (query.getAll(name).length > 1) return `Found ${name} more than once.`;
    if (query.get(name) === "") return `Found an empty ${name}. Leave it out, or give a value.`;
  }
  const legs = LEGS.find((known) => known === (query.get("legs") ?? "client"));
  if (legs === undefined) return `legs must be one of ${LEGS.join(", ")}.`;
  const snap = query.get("snaplen") ?? "0";
  const snapLength = /^[0-9]{1,6}$/.test(snap) ? Number(snap) : Infinity;
  if (snapLength > MAX_SNAP_LENGTH) return `snaplen must be a number of bytes up to ${MAX_SNAP_LENGTH}; 0 keeps all.`;
  const filter = readFilter(query);
  return typeof filter === "string" ? filter : { filter, legs, snapLength };
}

function readFilter(query: URLSearchParams): CaptureFilter | string {
  const host = query.get("host");
  const user = query.get("user");
  const id = query.get("id");
  const wanted = host === null ? {} : readHost(host);
  if (typeof wanted === "string") return wanted;
  return { ...wanted, ...(user !== null && { user }), ...(id !== null && { id }) };
}

/** `host`, `host:port`, or `*.host` for every name below it. */
function readHost(text: string): CaptureFilter | string {
  const below = text.startsWith("*.");
  const rest = below ? text.slice(2) : text;
  const whole = toAsciiHost(rest);
  if (whole.ok) return { host: whole.host, ...(below && { below }) };
  const [, name = "", port = ""] = /^(.*):([0-9]{1,5})$/.exec(rest) ?? [];
  const named = toAsciiHost(name);
  if (!named.ok || Number(port) > 65_535)
    return `${JSON.stringify(text)} is no host. Write example.org, example.org:443 or *.example.org.`;
  return { host: named.host, port: Number(port), ...(below && { below }) };
}

/** Blocks as the reader takes them: nothing is made before it is asked for. */
function streamCapture(capture: Capture): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const blocks = await capture.next();
        if (blocks === undefined) controller.close();
        else controller.enqueue(blocks);
      },
      cancel() {
        capture.stop();
      },
    },
    { highWaterMark: 0 },
  );
}
