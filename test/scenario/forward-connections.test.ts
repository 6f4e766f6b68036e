import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, startProxy } from "../support/proxy.ts";
import { listenEcho, listenRaw, type RawPeer } from "../support/raw-peer.ts";

describe("the connection of a client", () => {
  test("is kept for one request after the other, to one origin and another", async () => {
    using first = serveHttp(() => ok("first"));
    using second = serveHttp(() => ok("second"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    for (const [origin, body] of [
      [first, "first"],
      [second, "second"],
      [first, "first"],
    ] as const) {
      client.write(ask("GET", origin.uri()));
      const response = await takeResponse(client);
      expect(response.body).toBe(body);
      expect(response.head).not.toContain("Connection:");
    }
    expect(first.server.accepted).toHaveLength(1);
  });

  test("answers pipelined requests in order, however long the first one takes", async () => {
    using slow = listenRaw();
    using fast = serveHttp(({ head }) => ok(head.split(" ")[1] ?? ""));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(
      ask("POST", `http://127.0.0.1:${slow.port}/0`, "Content-Length: 4\r\n") +
        "body" +
        ask("GET", fast.uri("/1")) +
        ask("GET", fast.uri("/2")) +
        ask("POST", fast.uri("/3"), "Transfer-Encoding: chunked\r\n") +
        "0\r\n\r\n" +
        ask("GET", fast.uri("/4")),
    );
    const origin = await slow.next();
    await origin.untilText("body");
    expect(origin.text).toEndWith("\r\n\r\nbody");
    expect(fast.heads).toHaveLength(0);
    origin.write(ok("/0"));
    for (const path of ["/0", "/1", "/2", "/3", "/4"]) expect((await takeResponse(client)).body).toBe(path);
  });

  test("ends after a response when the client says so, or speaks HTTP/1.0", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    for (const request of [
      ask("GET", origin.uri(), "Connection: close\r\n"),
      ask("GET", origin.uri(), "", "1.0"),
      ask("GET", origin.uri(), "Connection: keep-alive\r\n", "1.0"),
    ]) {
      const answer = await proxy.exchange(request);
      expect(answer).toContain("\r\nConnection: close\r\n");
      expect(answer).toEndWith("\r\n\r\nx");
    }
  });

  test("ends when nothing comes for a while after a response", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ forward: { clientIdle: "200ms" } });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await takeResponse(client);
    await client.untilEnd();
    expect(client.end).toBe("fin");
    expect(client.text).toBe("");
    expect(proxy.records).toHaveLength(1);
    expect(await proxy.metrics()).toContain("penstock_connections_open 0\n");
  });

  test("is not kept at all when it is not to be", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ forward: { clientIdle: "0" } });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await client.untilEnd();
    expect(client.text).toEndWith("\r\n\r\nx");
  });

  test("takes a CONNECT after requests that were forwarded", async () => {
    using origin = serveHttp(() => ok("x"));
    using echo = listenEcho();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await takeResponse(client);
    client.write(`CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: 127.0.0.1:${echo.port}\r\n\r\nearly`);
    await client.untilText("\r\n\r\nearly");
    expect(client.text).toStartWith("HTTP/1.1 200 Connection Established\r\n");
    client.finish();
    await client.untilEnd();
    await proxy.record(1);
    expect(proxy.records.map((record) => [record["method"], record["stage"]])).toEqual([
      ["GET", "forward"],
      ["CONNECT", "tunnel"],
    ]);
  });

  test("may be half closed: the answer still comes", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    client.finish();
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write(ok("late"));
    await client.untilEnd();
    expect(client.text).toEndWith("\r\n\r\nlate");
  });

  test("that is gone ends the exchange at the origin while the response comes", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    await client.untilText("\r\n\r\n");
    client.reset();
    await origin.untilEnd();
    expect(origin.end).toBe("reset");
    expect(await proxy.record()).toMatchObject({ detail: "client_gone", status: 200 });
  });

  test("that is gone, with a mere FIN and before any answer, is found out", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    // Both ways at once, as programs close.
    client.socket.end();
    await origin.untilEnd();
    expect(origin.end).toBe("reset");
    expect(await proxy.record()).toMatchObject({ detail: "client_gone" });
  });

  test("counts once, whatever number of requests comes over it", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    for (let round = 0; round < 3; round += 1) {
      client.write(ask("GET", origin.uri()));
      await takeResponse(client);
    }
    await proxy.record(2);
    const metrics = await proxy.metrics();
    expect(metrics).toMatch(/^penstock_connections_total\{listener="[^"]+"\} 1$/m);
    expect(metrics).toContain("penstock_connections_open 1\n");
    expect(metrics).toContain("penstock_requests_total 3\n");
    const ids = proxy.records.map((record) => record["id"]);
    expect(new Set(ids).size).toBe(3);
  });

  test("holds one place among the user's, and leaves it", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({
      users: [{ name: "ann", password: "secret" }],
      limits: { perUser: { connections: 1 } },
    });
    const fields = `Proxy-Authorization: Basic ${Buffer.from("ann:secret").toString("base64")}\r\n`;
    using client = await proxy.connect();
    for (let round = 0; round < 2; round += 1) {
      client.write(ask("GET", origin.uri(), fields));
      expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 200 ");
    }
    const other = await proxy.exchange(ask("GET", origin.uri(), `${fields}Connection: close\r\n`));
    expect(other).toStartWith("HTTP/1.1 429 ");
    client.finish();
    await client.untilEnd();
    while (!(await proxy.metrics()).includes("penstock_connections_open 0\n")) await Bun.sleep(5);
    const again = await proxy.exchange(ask("GET", origin.uri(), `${fields}Connection: close\r\n`));
    expect(again).toStartWith("HTTP/1.1 200 ");
  });
});

describe("the connection to an origin", () => {
  test("is used again, by another client too", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    for (let round = 0; round < 3; round += 1) await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"));
    expect(origin.heads).toHaveLength(3);
    expect(origin.server.accepted).toHaveLength(1);
  });

  test("is not kept when the origin says so, or is not to be kept", async () => {
    using closing = serveHttp(() => ok("x", "Connection: close\r\n"));
    using keeping = serveHttp(() => ok("x"));
    await using eager = await startProxy();
    await using lavish = await startProxy({ forward: { originIdle: "0" } });
    for (let round = 0; round < 2; round += 1) {
      await eager.exchange(ask("GET", closing.uri(), "Connection: close\r\n"));
      await lavish.exchange(ask("GET", keeping.uri(), "Connection: close\r\n"));
    }
    expect(closing.server.accepted).toHaveLength(2);
    expect(keeping.server.accepted).toHaveLength(2);
    expect(keeping.heads[0]).toContain("\r\nConnection: close\r\n");
  });

  test("is given up when it idles too long", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ forward: { originIdle: "100ms" } });
    await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"));
    await origin.server.accepted[0]?.untilEnd();
  });

  test("is given up when the origin says anything that nobody asked for", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"));
    const [kept] = origin.server.accepted;
    kept?.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    await kept?.untilEnd();
    expect(await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"))).toEndWith("\r\n\r\nx");
    expect(origin.server.accepted).toHaveLength(2);
  });

  test("is given up when more comes than the response", async () => {
    using origin = serveHttp(() => `${ok("x")}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`);
    await using proxy = await startProxy();
    for (let round = 0; round < 2; round += 1) {
      expect(await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"))).toEndWith("\r\n\r\nx");
    }
    expect(origin.server.accepted).toHaveLength(2);
  });

  test.each(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])(
    "that turns out to be closed does not cost a %s: it is asked again, once",
    async (method) => {
      let answered = 0;
      using origin = serveHttp(({ peer }) => {
        answered += 1;
        if (answered !== 2) return ok("");
        peer.socket.end();
        return undefined;
      });
      await using proxy = await startProxy();
      using client = await proxy.connect();
      client.write(ask("GET", origin.uri("/first")));
      await takeResponse(client);
      client.write(ask(method, origin.uri("/again")));
      expect((await takeResponse(client, method !== "HEAD")).head).toStartWith("HTTP/1.1 200 ");
      expect(origin.heads.map((head) => head.split(" ", 2).join(" "))).toEqual([
        "GET /first",
        `${method} /again`,
        `${method} /again`,
      ]);
      expect(origin.server.accepted).toHaveLength(2);
    },
  );

  test.each([
    ["cannot be repeated", "POST", ""],
    ["has a body that was sent already", "PUT", "Content-Length: 4\r\n"],
  ])("that turns out to be closed fails a request that %s", async (_name, method, fields) => {
    let answered = 0;
    using origin = serveHttp(({ peer }) => {
      answered += 1;
      if (answered === 1) return ok("");
      peer.socket.end();
      return undefined;
    });
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await takeResponse(client);
    client.write(ask(method, origin.uri(), fields) + (fields === "" ? "" : "body"));
    const { head } = await takeResponse(client);
    expect(head).toStartWith("HTTP/1.1 502 ");
    expect(head).toContain("connection_terminated");
    expect(origin.heads).toHaveLength(2);
  });

  test("that closes in the middle of the answer fails also what could be repeated", async () => {
    let answered = 0;
    using origin = serveHttp(({ peer }) => {
      answered += 1;
      if (answered === 1) return ok("");
      peer.write("HTTP/1.1 2");
      peer.finish();
      return undefined;
    });
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await takeResponse(client);
    client.write(ask("GET", origin.uri()));
    expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 502 ");
    expect(origin.heads).toHaveLength(2);
  });

  test("with a fresh origin that closes is not tried twice", async () => {
    using origin = serveHttp(({ peer }) => {
      peer.socket.end();
      return undefined;
    });
    await using proxy = await startProxy();
    const answer = await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 502 ");
    expect(origin.heads).toHaveLength(1);
  });

  test("is not shared between those who may go to private addresses and those who may not", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({
      users: [
        { name: "ann", password: "a" },
        { name: "bob", password: "b" },
      ],
      rules: [
        { ...allowLoopback, users: ["ann"] },
        { to: ["127.0.0.0/8"], allow: true },
      ],
    });
    const as = (user: string, password: string) =>
      proxy.exchange(
        ask(
          "GET",
          origin.uri(),
          `Proxy-Authorization: Basic ${Buffer.from(`${user}:${password}`).toString("base64")}\r\nConnection: close\r\n`,
        ),
      );
    expect(await as("ann", "a")).toStartWith("HTTP/1.1 200 ");
    expect(await as("bob", "b")).toContain("address_prohibited");
  });

  test("that somebody has logged in on, with NTLM or Negotiate, is nobody else's", async () => {
    using origin = serveHttp(({ head }) =>
      head.includes("Authorization")
        ? ok("secret")
        : ok("", "WWW-Authenticate: Negotiate\r\n").replace("200 OK", "401 Who"),
    );
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 401 ");
    client.write(ask("GET", origin.uri(), "Authorization: Negotiate abc\r\n"));
    expect((await takeResponse(client)).body).toBe("secret");
    expect(origin.server.accepted).toHaveLength(1);
    using other = await proxy.connect();
    other.write(ask("GET", origin.uri()));
    await takeResponse(other);
    expect(origin.server.accepted).toHaveLength(2);
    client.write(ask("GET", origin.uri(), "Authorization: Negotiate abc\r\n"));
    await takeResponse(client);
    expect(origin.server.accepted).toHaveLength(2);
  });
});

describe("an answer before the request is whole", () => {
  test("reaches the client, and the request goes on to its end", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Content-Length: 10\r\n") + "01234");
    const origin = await server.next();
    await origin.untilText("01234");
    origin.write(ok("early"));
    expect((await takeResponse(client)).body).toBe("early");
    client.write("56789");
    await origin.untilText("0123456789");
    // Both ends are whole: the connections are good for more.
    client.write(ask("GET", `http://127.0.0.1:${server.port}/next`));
    await origin.untilText("GET /next");
    origin.write(ok("next"));
    expect((await takeResponse(client)).body).toBe("next");
  });

  test("ends both connections when the origin hears no more", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Content-Length: 1000000\r\n") + "01234");
    const origin = await server.next();
    await origin.untilText("01234");
    origin.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    origin.finish();
    const { head, body } = await takeResponse(client);
    expect(head).toStartWith("HTTP/1.1 413 ");
    expect(head).toContain("\r\nConnection: close\r\n");
    expect(body).toBe("no");
    await client.untilEnd();
    expect(client.end).toBe("fin");
    expect(await proxy.record()).toMatchObject({ status: 413 });
  });

  test("may go on in both directions at once", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Transfer-Encoding: chunked\r\n"));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    await client.untilText("\r\n\r\n");
    for (const word of ["one", "two", "six"]) {
      client.write(`3\r\n${word}\r\n`);
      await origin.untilText(`3\r\n${word}\r\n`);
      origin.write(`3\r\n${word}\r\n`);
      await client.untilText(`3\r\n${word}\r\n`);
    }
    client.write("0\r\n\r\n");
    await origin.untilText("\r\n0\r\n\r\n");
    origin.write("0\r\n\r\n");
    await client.untilText("\r\n0\r\n\r\n");
  });
});

describe("bodies of any size", () => {
  const size = 48 * 1024 * 1024;
  const bytes = Buffer.alloc(size, "0123456789abcdef-");
  const digest = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

  test("pass down while the client reads nothing for a while, without filling the memory", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    const received = hashBody(client);
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    client.pause();
    origin.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    origin.write(bytes);
    // The origin comes to a stop: what the kernel and the proxy hold is little.
    expect(await untilStuck(origin)).toBeGreaterThan(size / 4);
    client.resume();
    await client.until(() => received.bytes === size, "the whole body", 30_000);
    expect(received.digest()).toBe(digest);
  }, 60_000);

  test("pass up while the origin reads nothing for a while, byte for byte", async () => {
    using server = listenRaw((peer) => peer.pause());
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("PUT", `http://127.0.0.1:${server.port}/`, `Content-Length: ${size}\r\n`));
    client.write(bytes);
    const origin = await server.next();
    expect(await untilStuck(client)).toBeGreaterThan(size / 4);
    const received = hashBody(origin);
    origin.resume();
    await origin.until(() => received.bytes === size, "the whole body", 30_000);
    expect(received.digest()).toBe(digest);
    origin.write(ok("thanks"));
    expect((await takeResponse(client)).body).toBe("thanks");
  }, 60_000);
});

/** Looks on until nothing more is taken of what `writer` has to write, and gives how much is left. */
async function untilStuck(writer: RawPeer): Promise<number> {
  for (let before = -1; ;) {
    const left = writer.unwrittenBytes;
    if (left === before) return left;
    before = left;
    await Bun.sleep(100);
  }
}

/** Hashes the body of the one message that `peer` receives, and keeps nothing of it. */
function hashBody(peer: RawPeer): { readonly bytes: number; digest(): string } {
  const hash = new Bun.CryptoHasher("sha256");
  let head: Uint8Array | undefined = new Uint8Array(0);
  const seen = { bytes: 0, digest: () => hash.digest("hex") };
  peer.consume = (chunk) => {
    let body = chunk;
    if (head !== undefined) {
      const all = Buffer.concat([head, chunk]);
      const end = all.indexOf("\r\n\r\n");
      head = end < 0 ? all : undefined;
      if (end < 0) return;
      body = all.subarray(end + 4);
    }
    hash.update(body);
    seen.bytes += body.length;
  };
  return seen;
}

describe("shutting down", () => {
  test("ends idle connections at once and lets exchanges come to their end", async () => {
    using server = listenRaw();
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    using idle = await proxy.connect();
    idle.write(ask("GET", origin.uri()));
    await takeResponse(idle);
    using busy = await proxy.connect();
    busy.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const slow = await server.next();
    await slow.untilText("\r\n\r\n");
    const drained = proxy.daemon.drain();
    await idle.untilEnd();
    await origin.server.accepted[0]?.untilEnd();
    slow.write(ok("last"));
    await busy.untilEnd();
    expect(busy.text).toContain("\r\nConnection: close\r\n");
    expect(busy.text).toEndWith("\r\n\r\nlast");
    await drained;
  });

  test("at once ends exchanges, too", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    await proxy.daemon.stop();
    await client.untilEnd();
    await origin.untilEnd();
  });
});
