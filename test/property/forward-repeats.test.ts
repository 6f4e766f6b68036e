import { expect, test } from "bun:test";
import { drainMicrotasks } from "bun:jsc";
import fc from "fast-check";
import type { Gate } from "../../src/gate/gate.ts";
import { serveConnection } from "../../src/proxy/connection.ts";
import { AccessLog } from "../../src/proxy/record/access-log.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { makeGate, plainListener } from "../support/make-gate.ts";
import { MemoryConn } from "../support/memory-conn.ts";
import { makeIp } from "../support/make-policy.ts";

const AUTHORITY = "127.0.0.1:9";
const loopback = makeIp("127.0.0.1");
const DATE = "Date: Fri, 27 Nov 2026 23:17:51 GMT";

/** What happens once a request was sent, beside the response that comes in parts. */
type Happening =
  | "nothing"
  | "the client sends the next request"
  | "the client sends FIN"
  | "the client is gone"
  | "the origin sends FIN"
  | "the origin is gone"
  | "the proxy drains"
  | "the proxy stops";

interface Course {
  readonly request: string;
  /** Where the request and the response are cut in two. */
  readonly cutRequest: number;
  readonly response: string;
  readonly cuts: readonly number[];
  readonly happening: Happening;
  /** Before which part of the response it happens. */
  readonly when: number;
  /** Bytes that the origin and the client take at once, before they take a rest. */
  readonly originRoom: number;
  readonly clientRoom: number;
}

/** A proxy without sockets, one client of it, and one origin whose connection is kept. */
function openStand(forwardedFor: string) {
  const { runtime } = compileForTest({
    listen: ["127.0.0.1:0"],
    users: [{ name: "x", password: "y" }],
    rules: [{ to: ["127.0.0.0/8"], allowPrivate: true }],
    forward: { forwardedFor, via: "us" },
  });
  const lines: string[] = [];
  const accessLog = new AccessLog({ format: "json", sink: (text) => void lines.push(text) });
  const gate = makeGate(runtime, { accessLog });
  const { metrics } = gate;
  // Whoever has to dial is refused without a socket.
  gate.own.add("127.0.0.1", 9);
  const origin = new MemoryConn();
  gate.forwarding.origins.put(
    { conn: origin, address: { ip: loopback, port: 9 }, ip: loopback, reused: true },
    { key: `http ${AUTHORITY} private`, idleMs: 60_000, total: 9, perKey: 9 },
  );
  const client = new MemoryConn();
  void serveConnection(client, loopback, plainListener, gate);
  const tell = (act: () => void): void => {
    act();
    drainMicrotasks();
  };
  return { gate, metrics, accessLog, lines, origin, client, tell };
}

const GET = `GET http://${AUTHORITY}/ HTTP/1.1\r\nHost: ${AUTHORITY}\r\nProxy-Authorization: Basic eDp5\r\n`;
const OK = `HTTP/1.1 200 OK\r\n${DATE}\r\nContent-Length: 2\r\n\r\nok`;

/** Lets a course happen, to a client that has been served before or to a new one, and gives all that came of it. */
async function run(course: Course, forwardedFor: string, warm: boolean) {
  const { gate, metrics, accessLog, lines, origin, client, tell } = openStand(forwardedFor);
  if (warm) {
    tell(() => client.say(`${GET}\r\n`));
    tell(() => origin.say(OK));
    expect(client.text).toEndWith("\r\n\r\nok");
    client.text = "";
    origin.text = "";
  }
  const before = { ...metrics };
  client.room = course.clientRoom;
  origin.room = course.originRoom;
  tell(() => client.say(course.request.slice(0, course.cutRequest)));
  tell(() => client.say(course.request.slice(course.cutRequest)));
  // Whatever waits is not there any more: somebody else needed the space.
  gate.forwarding.scratch.bytes.fill("!");
  tell(() => origin.drain());
  const parts = cut(course.response, course.cuts);
  for (const [index, part] of [...parts, ""].entries()) {
    if (index === Math.min(course.when, parts.length)) tell(() => happen(course, gate, client, origin));
    tell(() => origin.say(part));
  }
  gate.forwarding.scratch.bytes.fill("!");
  tell(() => client.drain());
  if (origin.text.split("GET ").length > 2) tell(() => origin.say(OK));
  const states = [client.state, origin.state, gate.forwarding.origins.size];
  tell(() => client.vanish());
  tell(() => gate.forwarding.abort());
  await accessLog.stop();
  const records = lines
    .join("")
    .trim()
    .split("\n")
    .slice(warm ? 1 : 0);
  return {
    sent: origin.text,
    // A refusal has the id of its request in it.
    got: client.text.replaceAll(/Content-Length: \d+\r\nCache|\w{6}-\w+\n/g, ""),
    states,
    records: records.map((line) => {
      const { time: _time, id: _id, ms: _ms, stage_ms, ...rest } = JSON.parse(line);
      return { ...rest, stages: Object.keys(stage_ms ?? {}) };
    }),
    counted: [
      metrics.requests - before.requests,
      metrics.bytesUp - before.bytesUp,
      metrics.bytesDown - before.bytesDown,
      metrics.connectionsOpen,
    ],
    left: [gate.forwarding.waiting.size, gate.forwarding.exchanges.size],
  };
}

function cut(text: string, at: readonly number[]): string[] {
  const offsets = [...at].sort((a, b) => a - b);
  return [0, ...offsets].map((from, index) => text.slice(from, offsets[index]));
}

function happen({ happening }: Course, gate: Gate, client: MemoryConn, origin: MemoryConn): void {
  switch (happening) {
    case "nothing":
      break;
    case "the client sends the next request":
      client.say(`${GET}\r\n`);
      break;
    case "the client sends FIN":
      client.finish();
      break;
    case "the client is gone":
      client.vanish();
      break;
    case "the origin sends FIN":
      origin.finish();
      break;
    case "the origin is gone":
      origin.vanish();
      break;
    case "the proxy drains":
      gate.draining = true;
      gate.forwarding.windDown();
      break;
    case "the proxy stops":
      gate.draining = true;
      gate.forwarding.abort();
      break;
    default:
      happening satisfies never;
  }
}

const requestLine = fc.constantFrom(
  "Accept: */*",
  "Proxy-Connection: keep-alive",
  "Connection: keep-alive",
  "Connection: close",
  "Authorization: Bearer x",
  "Cookie: a=b",
  "Upgrade: x",
  "Expect: 100-continue",
  "Content-Length: 0",
  "TE: trailers",
  "Via: 1.1 us",
);
const method = fc.constantFrom("GET", "GET", "GET", "GET", "GET", "HEAD", "DELETE");
const path = fc.constantFrom("/", "/a?b", "/%41", "/#a", "/a b");
const request = fc
  .tuple(method, path, fc.array(requestLine, { maxLength: 2 }))
  .map(
    ([verb, where, lines]) =>
      `${GET.replace("GET", verb).replace("/ HTTP", `${where} HTTP`)}${lines.map((line) => `${line}\r\n`).join("")}\r\n`,
  );
const status = fc.constantFrom("200 OK", "200 OK", "200 OK", "404 Not Found", "204 No Content", "304 Not Modified");
const odd = fc.constantFrom("100 Continue", "101 Switching", "401 Who", "407 Who", "426 Up", "99 x", "200");
const framing = fc.constantFrom(
  "Content-Length: 4\r\n\r\nbody",
  "Content-Length: 4\r\n\r\nbody",
  "Content-Length: 4\r\n\r\nbody",
  "Content-Length: 4\r\n\r\nbo",
  "Content-Length: 4\r\n\r\nbody and more",
  "Content-Length: 0\r\n\r\n",
  "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
  "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nTrailer: x\r\n\r\nmore",
  "Transfer-Encoding: chunked\r\n\r\nnone",
  "Connection: close\r\n\r\nbody",
  "\r\nbody",
  "Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody",
);
const responseLine = fc.constantFrom(
  "Server: s",
  "Connection: keep-alive",
  "Connection: close",
  "ETag: x",
  "WWW-Authenticate: NTLM",
  "Bad",
);
const response = fc
  .tuple(fc.oneof({ weight: 9, arbitrary: status }, odd), fc.array(responseLine, { maxLength: 2 }), framing)
  .map(([first, lines, rest]) => `HTTP/1.1 ${[first, DATE, ...lines].join("\r\n")}\r\n${rest}`);
const happening = fc.constantFrom<Happening>(
  "nothing",
  "nothing",
  "nothing",
  "the client sends the next request",
  "the client sends FIN",
  "the client is gone",
  "the origin sends FIN",
  "the origin is gone",
  "the proxy drains",
  "the proxy stops",
);
const room = fc.oneof({ weight: 4, arbitrary: fc.constant(Number.POSITIVE_INFINITY) }, fc.nat(120));
const cutRequest = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(150));
const course: fc.Arbitrary<Course> = fc.record({
  request,
  cutRequest,
  response,
  cuts: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(fc.nat(160), { maxLength: 3 })),
  happening,
  when: fc.nat(3),
  originRoom: room,
  clientRoom: room,
});

test("a request like the one before comes to the same end as if it were the first, whatever happens", async () => {
  let plain = 0;
  await fc.assert(
    fc.asyncProperty(course, fc.constantFrom("off", "both"), async (what, forwardedFor) => {
      const first = await run(what, forwardedFor, false);
      expect(await run(what, forwardedFor, true)).toEqual(first);
      if (first.got.startsWith("HTTP/1.1 200 ")) plain += 1;
    }),
    { numRuns: 1500 },
  );
  // The comparison is about something.
  expect(plain).toBeGreaterThan(200);
});
