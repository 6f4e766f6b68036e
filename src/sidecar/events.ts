import type { Hono } from "hono";
import * as z from "zod";
import { toAsciiHost } from "../address/host.ts";
import { EVENT_TYPES, type EventFilter, EVENT_VERSION } from "../proxy/record/events/event.ts";
import { describe } from "./describe-route.ts";
import type { EventForm, LossReason } from "../proxy/record/events/event-channel.ts";
import type { EventStream } from "../proxy/record/events/event-stream.ts";
import type { Guards } from "./guard.ts";
import { answerProblem, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";
import { openWebSocket, readUpgrade } from "./web-socket.ts";
import { writeFrame } from "../protocol/websocket/frame.ts";
import { answerEventStream, EVENT_STREAM, streamChunks } from "./stream-chunks.ts";

/** The stream of events, as the sidecar may use it. */
export type EventControl = Pick<EventStream, "watch" | "watchers" | "lastId" | "collect">;

const parameter = (description: string) => z.string().describe(description).optional();
const eventsQuery = z.object({
  type: parameter(`Some of ${EVENT_TYPES.join(", ")}, with commas between.`),
  user: parameter("Name of the user."),
  target: parameter("`example.org`, `example.org:443`, or `*.example.org` for every name below."),
  word: parameter("Why something failed."),
  after: parameter("Id of the last event that is known."),
  wait: parameter("How long to wait for an event, up to `60s`."),
});
/** The answer to a long-poll. */
const pollAnswer = z.object({
  events: z.array(z.looseObject({ v: z.int(), event: z.string() })).readonly(),
  last: z.string().describe("Id of the newest event: `after` of the next poll."),
  lost: z.int().describe("Events after `after` that are not kept any more.").optional(),
});

/** Watchers at most: each has a connection, of which the sidecar has few, and memory for what waits. */
const MAX_WATCHERS = 12;
/** Milliseconds that a poll waits at most, and when the query does not say. */
const MAX_WAIT_MS = 60_000;
const DEFAULT_WAIT_MS = 0;

/**
 * Serves `GET /events`: Server-Sent Events, the same as WebSocket for a client that
 * asks for an upgrade, and as long-poll with `after` or `wait` in the query.
 */
export function mountEvents(app: Hono, { read: guard }: Guards, events: EventControl): void {
  app.get(
    "/events",
    describe({
      summary: "Streams events; as WebSocket with an upgrade, as long-poll in JSON with `after` or `wait`.",
      needs: "read",
      answer: EVENT_STREAM.replace(/;.*/, ""),
      also: { "application/json": pollAnswer },
    }),
    guard,
    takeQuery(eventsQuery),
    (context) => {
      const query = new URL(context.req.url).searchParams;
      const filter = readEventFilter(query);
      if (typeof filter === "string") return answerProblem(400, filter);
      const after = query.get("after") ?? undefined;
      const wait = readWait(query.get("wait"));
      if (typeof wait === "string") return answerProblem(400, wait);
      const isPoll = query.has("after") || query.has("wait");
      if (context.req.method === "HEAD")
        return context.body(null, 200, { "Content-Type": isPoll ? "application/json" : EVENT_STREAM });
      if (events.watchers >= MAX_WATCHERS)
        return answerProblem(429, `${MAX_WATCHERS} clients watch events already, which is the most there may be.`, {
          "Retry-After": "10",
        });
      if (isPoll) return answerPoll(events, filter, after, wait);
      if (context.req.header("Upgrade") !== undefined)
        return openWebSocket(context.req.raw, readUpgrade(context.env), () => events.watch(filter, webSocketForm));
      return answerStream(events, filter, context.req.header("Last-Event-ID"));
    },
  );
  refuseOtherMethods(app, "/events", "GET, HEAD", guard);
}

/** Which events a query means, or what is wrong with it. */
function readEventFilter(query: URLSearchParams): EventFilter | string {
  const types = query.get("type")?.split(",");
  const known: ReadonlySet<string> = new Set(EVENT_TYPES);
  const unknown = types?.find((type) => !known.has(type));
  if (unknown !== undefined)
    return `There is no event ${JSON.stringify(unknown)}. Known are ${EVENT_TYPES.join(", ")}; several are separated by commas.`;
  const target = readTarget(query.get("target"));
  if (target?.ok === false) return target.fault;
  const user = query.get("user");
  const word = query.get("word");
  return {
    ...(types && { types: new Set(EVENT_TYPES.filter((type) => types.includes(type))) }),
    ...(user !== null && { user }),
    ...(target && { target: target.text }),
    ...(word !== null && { word }),
  };
}

type TargetRead = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly fault: string };

/** `host`, `host:port` or `*.host`, in the spelling of events. */
function readTarget(text: string | null): TargetRead | undefined {
  if (text === null) return undefined;
  const below = text.startsWith("*.");
  const [, name = "", port = ""] = /^(.*?)(:[0-9]{1,5})?$/.exec(below ? text.slice(2) : text) ?? [];
  const host = toAsciiHost(name);
  if (!host.ok)
    return {
      ok: false,
      fault: `${JSON.stringify(text)} is no host. Write example.org, example.org:443 or *.example.org.`,
    };
  const written = host.host.kind === "ip" && host.host.text.includes(":") ? `[${host.host.text}]` : host.host.text;
  return { ok: true, text: `${below ? "*." : ""}${written}${port}` };
}

function readWait(text: string | null): number | string {
  if (text === null) return DEFAULT_WAIT_MS;
  const [, digits = "", unit = ""] = /^([0-9]{1,5})(ms|s)?$/.exec(text) ?? [];
  const ms = Number(digits) * (unit === "ms" ? 1 : 1000);
  if (digits === "" || ms > MAX_WAIT_MS)
    return `${JSON.stringify(text)} is no time to wait. Write from 0s to ${MAX_WAIT_MS / 1000}s.`;
  return ms;
}

function answerStream(events: EventControl, filter: EventFilter, after: string | undefined): Response {
  const watcher = events.watch(filter, serverSentForm, after);
  // At once, so that the client knows that it watches: and how long to wait before it comes back.
  const greeting = Buffer.from(`retry: 2000\n: watching\n\n`);
  let isGreeted = false;
  return answerEventStream({
    async next() {
      if (isGreeted) return watcher.next();
      isGreeted = true;
      return greeting;
    },
    stop: () => watcher.close(),
  });
}

/**
 * Answers with the events after an id, or else waits for the first one. Without
 * `after` it waits for what comes from now on. The answer says where to go on.
 */
function answerPoll(events: EventControl, filter: EventFilter, after: string | undefined, waitMs: number): Response {
  const since = after ?? events.lastId;
  const watcher = events.watch(filter, wakeForm);
  let isAnswered = false;
  const body = streamChunks({
    async next() {
      if (isAnswered) return undefined;
      isAnswered = true;
      if (events.collect(filter, since).events.length === 0) {
        const timer = setTimeout(() => watcher.close(), waitMs);
        await watcher.next();
        clearTimeout(timer);
      }
      const { events: found, last, missed } = events.collect(filter, since);
      watcher.close();
      const lost = missed > 0 ? `,"lost":${missed}` : "";
      return Buffer.from(`{"events":[${found.map(({ json }) => json).join()}],"last":"${last}"${lost}}\n`);
    },
    stop: () => watcher.close(),
  });
  return new Response(body, { headers: { "Content-Type": "application/json", "Transfer-Encoding": "chunked" } });
}

/** `data` is one line: JSON has no line ends. */
const serverSentForm: EventForm = {
  name: "sse",
  write: ({ type, json }, id) => `id: ${id}\nevent: ${type}\ndata: ${json}\n\n`,
  writeLost: (count, why) => `event: lost\ndata: ${describeLost(count, why)}\n\n`,
  heartbeat: Buffer.from(":\n\n"),
};

const webSocketForm: EventForm = {
  name: "websocket",
  write: ({ json }) => writeFrame("text", Buffer.from(json)),
  writeLost: (count, why) => writeFrame("text", Buffer.from(describeLost(count, why))),
  heartbeat: writeFrame("ping", new Uint8Array(0)),
};

/** For one who only wants to know that there is something. */
const wakeForm: EventForm = {
  name: "wake",
  write: () => "!",
  writeLost: () => "!",
  heartbeat: new Uint8Array(0),
};

function describeLost(count: number, why: LossReason): string {
  return JSON.stringify({ v: EVENT_VERSION, event: "lost", count, why });
}
