import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";

/** What a client gets, less Date and Via. */
async function getThrough(response: string, method = "GET", version = "1.1"): Promise<string> {
  using origin = serveHttp(({ peer }) => {
    peer.write(response);
    peer.finish();
    return undefined;
  });
  await using proxy = await startProxy();
  const answer = await proxy.exchange(ask(method, origin.uri(), "Connection: close\r\n", version));
  return answer.replace(/\r\n(?:Date|Via): [^\r]*/g, "");
}

const HEAD = "HTTP/1.1 200 OK\r\n";

describe("a response that is not canonical goes on in canonical form", () => {
  test.each([
    ["bare LF", "HTTP/1.1 200 OK\nA: b\nContent-Length: 2\n\nhi", "A: b\r\nContent-Length: 2\r\n", "hi"],
    ["bare LF and a body to the end", "HTTP/1.0 200 OK\nA: b\n\nhi", "A: b\r\n", "hi"],
    ["a fold", `${HEAD}A: b,\r\n\t c\r\nContent-Length: 2\r\n\r\nhi`, "A: b, c\r\nContent-Length: 2\r\n", "hi"],
    [
      "white space before colons",
      `${HEAD}A : b\r\nContent-Length\t: 2\r\n\r\nhi`,
      "A: b\r\nContent-Length: 2\r\n",
      "hi",
    ],
    [
      "lengths that agree",
      `${HEAD}Content-Length: 2\r\nContent-Length: 02, 2\r\n\r\nhi`,
      "Content-Length: 2\r\n",
      "hi",
    ],
    ["a length with a leading zero", `${HEAD}Content-Length: 02\r\n\r\nhi`, "Content-Length: 2\r\n", "hi"],
    [
      "Connection that names Transfer-Encoding and Trailer",
      `${HEAD}Connection: Transfer-Encoding, Trailer, keep-alive\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`,
      "Trailer: A\r\nTransfer-Encoding: chunked\r\n",
      "2\r\nhi\r\n0\r\n\r\n",
    ],
    [
      "padded chunk sizes",
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n2  \r\nhi\r\n0 \t\r\n\r\n`,
      "Transfer-Encoding: chunked\r\n",
      "2\r\nhi\r\n0\r\n\r\n",
    ],
    [
      "chunks with bare LF",
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n2\nhi\n0\n\n`,
      "Transfer-Encoding: chunked\r\n",
      "2\r\nhi\r\n0\r\n\r\n",
    ],
    [
      "Connection that is half a list",
      `${HEAD}Connection: keep-alive; timeout=5\r\nContent-Length: 2\r\n\r\nhi`,
      "Content-Length: 2\r\n",
      "hi",
    ],
  ])("%s", async (_name, response, fields, body) => {
    expect(await getThrough(response)).toBe(`HTTP/1.1 200 OK\r\n${fields}Connection: close\r\n\r\n${body}`);
  });

  test("informational ones, answers to HEAD, and no reason at all", async () => {
    expect(await getThrough("HTTP/1.1 103\nLink : </a>;\n\trel=preload\n\nHTTP/1.1 204\n\n")).toBe(
      "HTTP/1.1 103 \r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 204 \r\nConnection: close\r\n\r\n",
    );
    expect(await getThrough("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 2\n\n", "HEAD")).toBe(
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n",
    );
  });

  test("to a client of HTTP/1.0, which gets the data alone", async () => {
    const response = `${HEAD}Transfer-Encoding : chunked\r\n\r\n2 \r\nhi\n0\r\n\r\n`;
    expect(await getThrough(response, "GET", "1.0")).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi");
  });

  test("wherever its bytes are cut", async () => {
    const response = "HTTP/1.1 200 OK\nA : b\n c\r\nTransfer-Encoding: chunked\n\n2 \nhi\r\n0\n\n";
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    for (let round = 0; round < 2; round++) {
      client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
      const origin = round === 0 ? await server.next() : server.accepted[0];
      await origin?.untilText("\r\n\r\n");
      origin?.take();
      for (const octet of response) {
        origin?.write(octet);
        await Bun.sleep(0);
      }
      await client.untilText("\r\n0\r\n\r\n");
      expect(
        client
          .take()
          .toString()
          .replace(/\r\n(?:Date|Via): [^\r]*/g, ""),
      ).toBe("HTTP/1.1 200 OK\r\nA: b c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    }
    expect(server.accepted).toHaveLength(1);
  });

  test("of an upstream to CONNECT", async () => {
    using upstream = listenRaw();
    await using proxy = await startProxy({ upstream: `http://127.0.0.1:${upstream.port}`, rules: [] });
    const opening = proxy.tunnel("example.test:443");
    const hop = await upstream.next();
    await hop.untilText("\r\n\r\n");
    hop.write("HTTP/1.1 200 Connection established\nProxy-agent : box/1.0,\n folded\n\nfirst");
    const { peer, head } = await opening;
    expect(head).toStartWith("HTTP/1.1 200 ");
    await peer.untilText("first");
    peer[Symbol.dispose]();
  });
});

describe("a request that nobody can mistake is forwarded", () => {
  test.each(["/b\xc3\xbccher?stra\xc3\x9fe=\xff", '/"<>\\^`{|}', '/?"<>\\^`{|}', "/\\evil.example/..\\"])(
    "with %s in its target, unchanged",
    async (path) => {
      using origin = serveHttp(() => ok("x"));
      await using proxy = await startProxy();
      using client = await proxy.connect();
      // The second one goes the short way.
      for (let round = 0; round < 2; round++) {
        client.write(
          Buffer.from(
            `GET http://127.0.0.1:${origin.port}${path} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`,
            "latin1",
          ),
        );
        expect((await takeResponse(client)).body).toBe("x");
      }
      expect(origin.heads.map((head) => head.split(" ")[1])).toEqual([path, path]);
    },
  );

  test.each(["/a b", "/a\tb", "/a\0", "/a\x7fb", "/a\x1b[2J"])(
    "but not with a space or a control character: %j",
    async (path) => {
      await using proxy = await startProxy();
      const answer = await proxy.exchange(`GET http://127.0.0.1:1${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect(answer).toStartWith("HTTP/1.1 400 Malformed request\r\n");
    },
  );

  test.each([
    "::1",
    "::1:8080",
    "[::1",
    "other.example",
    "other.example:99999",
    "",
    "a_b-.example.",
    "bücher.example",
    "*",
  ])("whatever its one Host names: %p", async (host) => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    const answer = await proxy.exchange(`GET ${origin.uri()} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect(answer).toStartWith("HTTP/1.1 200 ");
    expect(origin.heads[0]).toStartWith(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n`);
  });

  test("with ws in its target, which the origin gets as any Upgrade, and a length of zero", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(
      `GET ws://127.0.0.1:${server.port}/chat HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n`,
    );
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    expect(origin.take().toString()).toStartWith(
      `GET /chat HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`,
    );
    origin.write("HTTP/1.1 101 Switching Protocols\nConnection : Upgrade\nUpgrade: websocket\n\nhello");
    await client.untilText("hello");
    expect(client.text).toStartWith("HTTP/1.1 101 Switching Protocols\r\n");
    client.write("frame");
    await origin.untilText("frame");
    expect(await proxy.metrics()).toContain("penstock_tunnels_open 1\n");
  });

  test("with Connection that names Transfer-Encoding and Trailer, and padded chunk sizes", async () => {
    using server = listenRaw();
    await using proxy = await startProxy({ forward: { via: "here" } });
    using client = await proxy.connect();
    client.write(
      ask(
        "POST",
        `http://127.0.0.1:${server.port}/`,
        "Connection: Transfer-Encoding, trailer, close\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n",
      ) + "2 \r\nhi\r\n0\t\r\nA: b\r\n\r\n",
    );
    const origin = await server.next();
    await origin.untilText("A: b\r\n\r\n");
    expect(origin.text).toBe(
      `POST / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\nVia: 1.1 here\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n`,
    );
  });

  test("with a length in another spelling, which becomes its one", async () => {
    using server = listenRaw();
    await using proxy = await startProxy({ forward: { via: "here" } });
    using client = await proxy.connect();
    client.write(`${ask("POST", `http://127.0.0.1:${server.port}/`, "Content-Length: 010\r\n")}0123456789`);
    const origin = await server.next();
    await origin.untilText("0123456789");
    expect(origin.text).toContain("\r\nContent-Length: 10\r\n");
    expect(origin.text).not.toContain("010");
  });

  test.each([
    ["bare LF", "GET http://a.example/ HTTP/1.1\nHost: a\n\n"],
    ["bare LF between fields", "GET http://a.example/ HTTP/1.1\r\nHost: a\nB: c\r\n\r\n"],
    ["a fold", "GET http://a.example/ HTTP/1.1\r\nHost: a\r\nB: c\r\n d\r\n\r\n"],
    ["white space before a colon", "GET http://a.example/ HTTP/1.1\r\nHost : a\r\n\r\n"],
    [
      "two lengths that agree",
      "POST http://a.example/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    ],
    ["a list of lengths", "POST http://a.example/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx"],
    ["two Hosts that agree", "GET http://a.example/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"],
    ["a Host in two parts", "GET http://a.example/ HTTP/1.1\r\nHost: a, b\r\n\r\n"],
    ["Connection that names Host", "GET http://a.example/ HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n"],
    [
      "Connection that names Content-Length",
      "POST http://a.example/ HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 1\r\n\r\nx",
    ],
    ["a backslash in its authority", "GET http://a.example\\@b.example/ HTTP/1.1\r\nHost: a\r\n\r\n"],
  ])("but not with %s, and its connection ends", async (_name, request) => {
    await using proxy = await startProxy();
    const answer = await proxy.exchange(`${request}GET http://smuggled.example/ HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^\r]*\r\n/);
    expect(answer.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
  });
});

describe("a CONNECT goes where its authority says", () => {
  test.each([
    ["names another host", "Host: other.example:443\r\n"],
    ["names the proxy", "Host: 127.0.0.1:3128\r\n"],
    ["lacks the port", "Host: example.test\r\n"],
    ["has another port", "Host: example.test:80\r\n"],
    ["is empty", "Host:\r\n"],
    ["is missing", ""],
    ["has an IPv6 address without brackets", "Host: ::1:443\r\n"],
  ])("when Host %s", async (_name, host) => {
    using upstream = listenRaw();
    await using proxy = await startProxy({ upstream: `http://127.0.0.1:${upstream.port}`, rules: [] });
    using client = await proxy.connect();
    client.write(`CONNECT Example.test:443 HTTP/1.1\r\n${host}\r\n`);
    const hop = await upstream.next();
    await hop.untilText("\r\n\r\n");
    expect(hop.text).toBe("CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n");
    hop.write("HTTP/1.1 200 OK\r\n\r\n");
    await client.untilText("HTTP/1.1 200 ");
    client.finish();
    hop.finish();
    expect(await proxy.record()).toMatchObject({ target: "example.test:443", status: 200 });
  });

  test.each(["Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a,b\r\n", "Host : a\r\n"])(
    "but not when it is ambiguous: %j",
    async (host) => {
      await using proxy = await startProxy();
      const answer = await proxy.exchange(`CONNECT example.test:443 HTTP/1.1\r\n${host}\r\n`);
      expect(answer).toStartWith("HTTP/1.1 400 Malformed request\r\n");
      expect(await proxy.record()).toMatchObject({ detail: "malformed_request" });
    },
  );
});

describe("credentials that are not UTF-8", () => {
  test("are tried as ISO-8859-1", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ users: [{ name: "müller", password: "pässword" }] });
    for (const [charset, status] of [
      ["latin1", 200],
      ["utf8", 200],
      ["utf16le", 407],
    ] as const) {
      const shown = Buffer.from("müller:pässword", charset).toString("base64");
      const answer = await proxy.exchange(
        ask("GET", origin.uri(), `Connection: close\r\nProxy-Authorization: Basic ${shown}\r\n`),
      );
      expect(answer).toStartWith(`HTTP/1.1 ${status} `);
      if (status === 407) expect(answer).toContain("\r\nProxy-Authenticate: Basic ");
    }
  });
});
