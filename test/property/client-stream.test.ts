import { expect, test } from "bun:test";
import { drainMicrotasks } from "bun:jsc";
import fc from "fast-check";
import type { Connect } from "../../src/net/runtime/connect.ts";
import { serveConnection } from "../../src/proxy/connection.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { makeIp } from "../support/make-policy.ts";
import { makeGate, plainListener } from "../support/make-gate.ts";
import { MemoryConn } from "../support/memory-conn.ts";

const loopback = makeIp("127.0.0.1");

/** What a client asks for. Each request has its number in it, and so has the answer to it. */
type Kind = "get" | "put" | "post" | "denied" | "denied upload" | "here" | "connect";

/** What happens next. `at` chooses the origin's connection, the place of a cut, or an amount. */
type Happening =
  | { readonly what: "request"; readonly kind: Kind; readonly at: number }
  | { readonly what: "read" | "interim" | "answer" | "half" | "noise" | "end" | "reset"; readonly at: number };

function openStand() {
  const { runtime } = compileForTest({
    listen: ["127.0.0.1:0"],
    rules: [{ to: ["127.0.0.0/8"], allowPrivate: true }],
    default: "deny",
    forward: { via: "us" },
  });
  const origins: Origin[] = [];
  const connect: Connect = (_target, hear) => {
    const conn = new MemoryConn();
    origins.push({ conn, answered: 0, rest: "" });
    queueMicrotask(() => hear({ ok: true, conn }));
    return { cancel: () => undefined };
  };
  const gate = makeGate(runtime, { connect });
  const client = new MemoryConn();
  client.room = 0;
  void serveConnection(client, loopback, plainListener, gate);
  return { client, origins, gate };
}

/** A connection to an origin, as its peer sees it. */
interface Origin {
  readonly conn: MemoryConn;
  /** Of the requests that came over it. */
  answered: number;
  /** What is owed of a response that was begun. */
  rest: string;
}

function writeRequest(kind: Kind, number: number, at: number): string {
  const id = `X-Number: ${number}\r\n`;
  const to = (host: string) => `http://${host}/${number} HTTP/1.1\r\nHost: ${host}\r\n${id}`;
  // Two origins, so that a connection is not always kept for the next request.
  const origin = at % 3 === 0 ? "127.0.0.1:8" : "127.0.0.1:9";
  switch (kind) {
    case "get":
      return `GET ${to(origin)}\r\n`;
    case "put":
      return `PUT ${to(origin)}Content-Length: 4\r\n\r\nbody`;
    case "post":
      return `POST ${to(origin)}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n`;
    case "denied":
      return `GET ${to("192.0.2.1")}\r\n`;
    case "denied upload":
      return `PUT ${to("192.0.2.1")}Content-Length: 4\r\n\r\nbody`;
    case "here":
      return `TRACE ${to(origin)}Max-Forwards: 0\r\n\r\n`;
    case "connect":
      return `CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n${id}\r\n`;
    default:
      return kind satisfies never;
  }
}

/** A response in one of several framings, which says to what. */
function writeAnswer(number: string, at: number): string {
  const body = `<${number}>`.padEnd(at % 700, "b");
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
  switch (at % 5) {
    case 0:
      return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(body)}0\r\n\r\n`;
    case 1:
      return `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    default:
      return `HTTP/1.1 200 OK\r\nX: ${"y".repeat(at % 400)}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  }
}

/** The number of the first request of an origin's connection that has no answer yet. */
function findAsked({ conn, answered }: Origin): string | undefined {
  return [...conn.text.matchAll(/X-Number: (\d+)\r\n/g)][answered]?.[1];
}

function happen(event: Happening, client: MemoryConn, origins: readonly Origin[], kinds: Kind[]): void {
  const { what, at } = event;
  if (what === "request") {
    const text = writeRequest(event.kind, kinds.length, at);
    kinds.push(event.kind);
    client.say(text.slice(0, at % text.length));
    client.say(text.slice(at % text.length));
    return;
  }
  if (what === "read") {
    client.grant(at);
    return;
  }
  // The last one is nearly always the one that something is asked of.
  const origin = origins[at % 4 === 0 ? at % Math.max(1, origins.length) : origins.length - 1];
  if (origin === undefined || origin.conn.closed) return;
  const asked = findAsked(origin);
  const begun = origin.rest !== "";
  switch (what) {
    case "interim":
      if (asked !== undefined && !begun) origin.conn.say(`HTTP/1.1 103 Early\r\nLink: ${"l".repeat(at % 900)}\r\n\r\n`);
      break;
    case "answer":
    case "half": {
      if (asked === undefined) break;
      const text = begun ? origin.rest : writeAnswer(asked, at);
      const now = what === "half" ? text.slice(0, 1 + (at % text.length)) : text;
      origin.rest = text.slice(now.length);
      if (origin.rest === "") origin.answered += 1;
      origin.conn.say(now);
      break;
    }
    case "noise":
      // It may be taken for the answer to what was asked, and is one then.
      if (begun) break;
      if (asked !== undefined) origin.answered += 1;
      origin.conn.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
      break;
    case "end":
      origin.conn.finish();
      break;
    case "reset":
      origin.conn.vanish();
      break;
    default:
      what satisfies never;
  }
}

/** Reads what a client got as a program would: whole messages, and what is left behind the last one. */
function readMessages(text: string): { finals: { head: string; body: string }[]; rest: string } {
  const finals: { head: string; body: string }[] = [];
  let rest = text;
  for (;;) {
    const head = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n(?:[!-9;-~]+: [^\r\n]*\r\n)*\r\n/.exec(rest);
    if (head === null) return { finals, rest };
    const after = rest.slice(head[0].length);
    if (head[1]?.startsWith("1")) {
      rest = after;
      continue;
    }
    const body = readBody(head[0], after);
    if (body === undefined) return { finals, rest };
    finals.push({ head: head[0], body: body.text });
    rest = after.slice(body.used);
  }
}

function readBody(head: string, after: string): { text: string; used: number } | undefined {
  const length = /\r\nContent-Length: (\d+)\r\n/.exec(head)?.[1];
  if (length !== undefined) {
    const text = after.slice(0, Number(length));
    return text.length < Number(length) ? undefined : { text, used: text.length };
  }
  let text = "";
  for (let at = 0; ;) {
    const line = /^([0-9a-f]+)\r\n/.exec(after.slice(at));
    if (line === null) return undefined;
    const size = Number.parseInt(line[1] as string, 16);
    const end = at + line[0].length + size + 2;
    if (after.length < end || after.slice(end - 2, end) !== "\r\n") return undefined;
    if (size === 0) return { text, used: end };
    text += after.slice(end - 2 - size, end - 2);
    at = end;
  }
}

/** Whether a final response is one to a request of that kind and number. */
function answers({ head, body }: { head: string; body: string }, kind: Kind, number: number): boolean {
  if (/^HTTP\/1\.1 50[24] /.test(head)) return kind === "get" || kind === "put" || kind === "post";
  if (kind === "here") return body.includes(`X-Number: ${number}\r\n`);
  if (kind.startsWith("denied") || kind === "connect") return head.startsWith("HTTP/1.1 403 ");
  return head.startsWith("HTTP/1.1 200 ") && (body.startsWith(`<${number}>`) || body === "poison");
}

const amount = fc.nat(2000);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant("request" as const),
      kind: fc.constantFrom<Kind>(
        ...(["get", "get", "get", "get", "put", "put", "post", "denied", "denied", "denied"] as const),
        ...(["here", "here", "denied upload", "connect"] as const),
      ),
      at: amount,
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      what: fc.constantFrom<Exclude<Happening["what"], "request">>(
        ...(["read", "read", "read", "interim", "interim", "answer", "answer", "answer"] as const),
        ...(["half", "half", "noise", "end", "reset"] as const),
      ),
      at: amount,
    }),
  },
);

test("a client gets whole messages in order, then at most one that is cut, and then the end of its connection", async () => {
  const seen = { whole: 0, cut: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { minLength: 4, maxLength: 60 }), async (course) => {
      const { client, origins, gate } = openStand();
      const kinds: Kind[] = [];
      for (const event of course) {
        happen(event, client, origins, kinds);
        drainMicrotasks();
      }
      // Whoever waits to be read is read, and nobody answers any more.
      client.drain();
      drainMicrotasks();
      for (let index = 0; index < origins.length; index++) {
        origins[index]?.conn.vanish();
        drainMicrotasks();
        client.drain();
        drainMicrotasks();
      }
      const { finals, rest } = readMessages(client.text);
      for (const [index, message] of finals.entries()) {
        expect([message, kinds[index], answers(message, kinds[index] as Kind, index)]).toEqual([
          message,
          kinds[index],
          true,
        ]);
      }
      if (rest !== "") {
        expect([rest, client.state]).not.toEqual([rest, "open"]);
        expect(rest.slice(1)).not.toContain("HTTP/1.1 ");
      }
      // Nobody is forgotten: who has no answer has no connection any more.
      if (finals.length < kinds.length) expect(client.state).not.toBe("open");
      seen.whole += finals.length;
      seen.cut += rest === "" ? 0 : 1;
      seen.refused += finals.filter(({ head }) => !head.startsWith("HTTP/1.1 200 ")).length;
      client.vanish();
      gate.forwarding.abort();
      gate.admission.lingering.abort();
    }),
    { numRuns: 1500 },
  );
  // All of it did happen.
  expect(Math.min(seen.whole, seen.cut * 10, seen.refused)).toBeGreaterThan(100);
});
