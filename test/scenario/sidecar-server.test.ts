import { describe, expect, test } from "bun:test";
import { type HttpServer, serveHttp, type ServeHttpOptions } from "../../src/net/http/serve-http.ts";
import { connectRaw } from "../support/raw-peer.ts";
import { waitFor } from "../support/wait-for.ts";

const QUICK = { requestMs: 100, idleMs: 100, answerMs: 100, lingerMs: 100 };
const PATIENT = { requestMs: 60_000, idleMs: 60_000, answerMs: 60_000, lingerMs: 100 };

/** A server on loopback that answers with what it was asked for, unless `options` say otherwise. */
function start(options: Partial<ServeHttpOptions> = {}) {
  const bugs: unknown[] = [];
  const started = serveHttp({
    at: { host: "127.0.0.1", port: 0 },
    handle: (request) =>
      new Response(`${request.method} ${new URL(request.url).pathname} ${request.headers.get("Host")}\n`),
    reportBug: (error) => bugs.push(error),
    ...options,
  });
  if (!started.ok) throw new Error(started.code);
  const { server } = started;
  return { server, port: server.port ?? 0, bugs, [Symbol.asyncDispose]: () => server.stop(0) };
}

/** Sends bytes on a new connection and gives everything until its end. */
async function ask(port: number, text: string): Promise<string> {
  using peer = await connectRaw(port);
  peer.write(text);
  await peer.untilEnd();
  return peer.text;
}

function untilOpen(server: HttpServer, count: number) {
  return waitFor(() => server.connections.open === count, `${count} connections`);
}

describe("the HTTP server of the sidecar", () => {
  test("answers HTTP/1.0 without a Host field, and closes", async () => {
    await using stand = start();
    const text = await ask(stand.port, "GET /healthz HTTP/1.0\r\n\r\n");
    expect(text).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(text).toContain("\r\nConnection: close\r\n");
    expect(text).toEndWith("\r\n\r\nGET /healthz null\n");
  });

  test("asks HTTP/1.1 for one Host field", async () => {
    await using stand = start();
    for (const fields of ["", "Host: a\r\nHost: b\r\n"])
      expect(await ask(stand.port, `GET / HTTP/1.1\r\n${fields}\r\n`)).toStartWith("HTTP/1.1 400 ");
  });

  test("takes the host of an absolute target before that of the field", async () => {
    await using stand = start();
    const text = await ask(stand.port, "GET http://named:80/a?b HTTP/1.0\r\nHost: other\r\n\r\n");
    expect(text).toEndWith("GET /a named:80\n");
    expect(await ask(stand.port, "GET //evil/x HTTP/1.0\r\n\r\n")).toEndWith("GET //evil/x null\n");
  });

  test("serves pipelined requests in turn on one connection", async () => {
    await using stand = start();
    using peer = await connectRaw(stand.port);
    const post = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
    peer.write(`GET /a HTTP/1.1\r\nHost: h\r\n\r\n${post}HEAD /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
    await peer.untilEnd();
    expect([...peer.text.matchAll(/^(?:GET|POST|HEAD) .*$/gm)].map(([line]) => line)).toEqual([
      "GET /a h",
      "POST /b h",
    ]);
    expect(peer.text.split("HTTP/1.1 200 OK")).toHaveLength(4);
    expect(peer.text).toEndWith("Content-Length: 10\r\nConnection: close\r\n\r\n");
  });

  test("names no length to HEAD that is not known", async () => {
    await using stand = start({ handle: () => new Response(null) });
    const text = await ask(stand.port, "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    expect(text).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(text).not.toContain("Content-Length");
    expect(await ask(stand.port, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).toContain(
      "\r\nContent-Length: 0\r\n",
    );
  });

  test.each([
    ["GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400],
    ["GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n", 413],
    [`GET / HTTP/1.1\r\nHost: h\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
    ["GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505],
    ["CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 501],
    ["FETCH /metrics HTTP/1.1\r\nHost: h\r\n\r\n", 501],
    ["get /metrics HTTP/1.1\r\nHost: h\r\n\r\n", 501],
    ["OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["\x16\x03\x01\x02\x00\x01\x00", 400],
  ])("refuses %p, and closes", async (request, status) => {
    await using stand = start();
    expect(await ask(stand.port, request)).toStartWith(`HTTP/1.1 ${status} `);
    expect(stand.bugs).toEqual([]);
  });

  /** Answers with what the handler was given. */
  const echo = async (request: Request) => {
    const body = new Uint8Array(await request.arrayBuffer());
    return new Response(`${body.length} bytes ${Bun.hash(body)} ${request.headers.get("Content-Type")}\n`);
  };

  test("gives the handler the body of a request, to its last byte", async () => {
    await using stand = start({ handle: echo });
    for (const length of [0, 1, 1000, 64 * 1024]) {
      const body = Uint8Array.from({ length }, (_, at) => at * 7);
      const fields = `Content-Length: ${length}\r\nContent-Type: application/json\r\nConnection: close`;
      using peer = await connectRaw(stand.port);
      peer.write(`POST /a HTTP/1.1\r\nHost: h\r\n${fields}\r\n\r\n`);
      peer.write(body);
      await peer.untilEnd();
      expect(peer.text).toEndWith(`\r\n\r\n${length} bytes ${Bun.hash(body)} application/json\n`);
    }
  });

  test("gives each of several requests its own body", async () => {
    await using stand = start({ handle: async (request) => new Response(`<${await request.text()}>\n`) });
    const posts = ["one", "", "three"].map(
      (body) => `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const text = await ask(stand.port, `${posts.join("")}GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
    expect(text.match(/<.*>/g)).toEqual(["<one>", "<>", "<three>", "<>"]);
  });

  test("drops the body of a GET, which means nothing", async () => {
    await using stand = start({ handle: echo });
    expect(await ask(stand.port, "GET / HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody")).toContain("\r\n\r\n0 bytes ");
  });

  test("refuses a body that is too large before it comes", async () => {
    await using stand = start({ handle: echo });
    const fields = `Content-Length: ${64 * 1024 + 1}\r\nExpect: 100-continue`;
    expect(await ask(stand.port, `POST / HTTP/1.1\r\nHost: h\r\n${fields}\r\n\r\n`)).toStartWith("HTTP/1.1 413 ");
  });

  test("lets a client send its body that asks for leave first", async () => {
    await using stand = start({ handle: echo });
    using peer = await connectRaw(stand.port);
    peer.write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    await peer.untilText("HTTP/1.1 100 Continue\r\n\r\n");
    peer.write("body");
    await peer.untilEnd();
    expect(peer.text.match(/^HTTP\/1.1 .*$/gm)).toEqual(["HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"]);
    expect(peer.text).toContain("\r\n\r\n4 bytes ");
  });

  test("ends one connection when its handler throws, and reports it", async () => {
    await using stand = start({
      handle: (request) => {
        if (request.url.endsWith("/bad")) throw new Error("a mistake");
        return new Response("fine");
      },
    });
    expect(await ask(stand.port, "GET /bad HTTP/1.0\r\n\r\n")).toBe("");
    expect(await ask(stand.port, "GET /good HTTP/1.0\r\n\r\n")).toEndWith("fine");
    expect(stand.bugs).toEqual([new Error("a mistake")]);
  });

  test("passes a stream on as it is made, and tells its maker when the reader has left", async () => {
    let left = false;
    await using stand = start({
      deadlines: QUICK,
      handle: () =>
        new Response(
          new ReadableStream<Uint8Array>({
            start: (controller) => controller.enqueue(Buffer.from("first")),
            cancel: () => {
              left = true;
            },
          }),
          { headers: { "Transfer-Encoding": "chunked" } },
        ),
    });
    using peer = await connectRaw(stand.port);
    peer.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await peer.untilText("5\r\nfirst\r\n");
    peer.finish();
    await waitFor(() => left, "the end of the stream");
  });
});

describe("a client of the sidecar that takes its time", () => {
  test.each(["", "GET / HTTP/1.1\r\nHost: ", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nbod"])(
    "is left when it stops after %p",
    async (begun) => {
      await using stand = start({ deadlines: QUICK });
      expect(await ask(stand.port, begun)).toBe("");
      await untilOpen(stand.server, 0);
    },
  );

  test("cannot stretch its deadline by sending a little at a time", async () => {
    await using stand = start({ deadlines: QUICK });
    using peer = await connectRaw(stand.port);
    peer.write("GET / HTTP/1.1\r\nX: ");
    const drip = setInterval(() => peer.write("x"), 10);
    await peer.untilEnd();
    clearInterval(drip);
    expect(peer.text).toBe("");
  });

  test("is left between two requests, too", async () => {
    await using stand = start({ deadlines: QUICK });
    using peer = await connectRaw(stand.port);
    peer.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await peer.untilEnd();
    expect(peer.text).toContain("Connection: keep-alive\r\n");
  });

  test("is left when it does not read its answer", async () => {
    const body = new Uint8Array(64 * 1024 * 1024);
    await using stand = start({ deadlines: QUICK, handle: () => new Response(body) });
    using peer = await connectRaw(stand.port);
    peer.pause();
    peer.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await untilOpen(stand.server, 1);
    await untilOpen(stand.server, 0);
  });
});

describe("many connections to the sidecar", () => {
  test("are bounded, and one that asks at once is answered all the same", async () => {
    await using stand = start({
      deadlines: PATIENT,
      limits: { total: 8, perPeer: 4, graceMs: 0, burst: 1, whenScarce: 2 },
    });
    await using stack = new AsyncDisposableStack();
    for (let count = 0; count < 40; count += 1) stack.use(await connectRaw(stand.port));
    await waitFor(() => stand.server.connections.accepted === 40, "all of them");
    expect(stand.server.connections.open).toBe(4);
    for (let count = 0; count < 5; count += 1)
      expect(await ask(stand.port, "GET /healthz HTTP/1.0\r\n\r\n")).toContain("200 OK");
    expect(stand.server.connections.evicted).toBeGreaterThanOrEqual(36);
  });

  test("are answered all of them when they came at once while the process was busy", async () => {
    await using stand = start({
      deadlines: PATIENT,
      // Longer than any machine may be busy.
      limits: { total: 32, perPeer: 16, graceMs: 60_000, burst: 4, whenScarce: 8 },
    });
    await using stack = new AsyncDisposableStack();
    const peers = await Promise.all(Array.from({ length: 48 }, () => connectRaw(stand.port)));
    for (const peer of peers) stack.use(peer).write("GET / HTTP/1.0\r\n\r\n");
    await Promise.all(peers.map((peer) => peer.untilText("GET / null\n")));
  });

  test("are not cut while their requests may change something: a newcomer is refused", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    let begun = 0;
    await using stand = start({
      deadlines: PATIENT,
      limits: { total: 8, perPeer: 4, graceMs: 0, burst: 1, whenScarce: 4 },
      async handle() {
        begun += 1;
        return new Response(await promise);
      },
    });
    await using stack = new AsyncDisposableStack();
    const peers = await Promise.all(Array.from({ length: 4 }, () => connectRaw(stand.port)));
    for (const peer of peers) stack.use(peer).write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    await waitFor(() => begun === 4, "four requests");
    using newcomer = await connectRaw(stand.port);
    await newcomer.untilEnd();
    resolve("done\n");
    await Promise.all(peers.map((peer) => peer.untilText("done\n")));
    expect(stand.server.connections).toMatchObject({ open: 4, accepted: 5, evicted: 1 });
  });

  test("that are kept without a request make room", async () => {
    await using stand = start({
      deadlines: PATIENT,
      limits: { total: 8, perPeer: 4, graceMs: 0, burst: 1, whenScarce: 2 },
    });
    await using stack = new AsyncDisposableStack();
    for (let count = 0; count < 12; count += 1) {
      const peer = stack.use(await connectRaw(stand.port));
      peer.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      await peer.untilText("GET / h\n");
    }
    expect(stand.server.connections).toMatchObject({ open: 4, accepted: 12, evicted: 8 });
  });

  test("lose no answer that they have not read when they make room", async () => {
    await using stand = start({
      deadlines: PATIENT,
      limits: { total: 1, perPeer: 1, graceMs: 0, burst: 1, whenScarce: 1 },
    });
    using first = await connectRaw(stand.port);
    first.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await first.untilText("GET / h\n");
    using second = await connectRaw(stand.port);
    await first.untilEnd();
    expect(first.end).toBe("fin");
    second.write("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    await second.untilText("GET / h\n");
    await stand.server.stop(1000);
    await second.untilEnd();
    expect(second.end).toBe("fin");
  });

  test("are gone once it was stopped", async () => {
    const stand = start({ deadlines: PATIENT });
    using peer = await connectRaw(stand.port);
    await untilOpen(stand.server, 1);
    await stand.server.stop(1000);
    await peer.untilEnd();
    expect(stand.server.connections.open).toBe(0);
  });
});
