import { describe, expect, test } from "bun:test";
import { allowLoopback, basic, startProxy } from "../support/proxy.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { listenRaw } from "../support/raw-peer.ts";

/** The field lines of a head by lower-case name, in order. */
function readLines(head: string): string[] {
  return head.split("\r\n").slice(1, -2);
}

describe("a forwarded request", () => {
  test("reaches the origin in origin-form, with Host from its target and our Via", async () => {
    using origin = serveHttp(() => ok("hello"));
    await using proxy = await startProxy({ forward: { via: "here" } });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri("/a/b?c=d"), "Accept: */*\r\nX-Mine: 1\r\n"));
    const { head, body } = await takeResponse(client);
    expect(origin.heads).toEqual([
      `GET /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\nAccept: */*\r\nX-Mine: 1\r\nVia: 1.1 here\r\n\r\n`,
    ]);
    expect(head).toStartWith("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n");
    expect(head).toContain("\r\nVia: 1.1 here\r\n");
    expect(body).toBe("hello");
  });

  test("writes one record with what it did", async () => {
    using origin = serveHttp(() => ok("hello"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri("/secret?token=x")));
    await takeResponse(client);
    const record = await proxy.record();
    expect(record).toMatchObject({
      protocol: "http",
      method: "GET",
      scheme: "http",
      target: `127.0.0.1:${origin.port}`,
      dialled: `127.0.0.1:${origin.port}`,
      rule: "loopback",
      route: "direct",
      status: 200,
      stage: "forward",
    });
    expect(record["bytes_up"]).toBe(origin.heads[0]?.length);
    expect(record["bytes_down"]).toBe(client.receivedBytes);
    // A path may hold secrets.
    expect(JSON.stringify(record)).not.toContain("token");
  });

  test("takes Host from the target, whatever the client says", async () => {
    using origin = serveHttp(() => ok(""));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(`GET ${origin.uri()} HTTP/1.1\r\nHost: other.example\r\n\r\n`);
    await takeResponse(client);
    expect(origin.heads[0]).toContain(`\r\nHost: 127.0.0.1:${origin.port}\r\n`);
    expect(origin.heads[0]).not.toContain("other.example");
  });

  test("makes an empty path of the target a slash, and an empty one of OPTIONS an asterisk", async () => {
    using origin = serveHttp(() => ok(""));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    for (const [method, suffix, wanted] of [
      ["GET", "", "GET / "],
      ["GET", "?q", "GET /?q "],
      ["OPTIONS", "", "OPTIONS * "],
      ["OPTIONS", "/", "OPTIONS / "],
    ] as const) {
      client.write(ask(method, `http://127.0.0.1:${origin.port}${suffix}`));
      await takeResponse(client);
      expect(origin.heads.at(-1)).toStartWith(wanted);
    }
  });

  test("leaves behind what is for one hop only, and what Connection names", async () => {
    using origin = serveHttp(() =>
      ok(
        "",
        "Connection: X-Back, Keep-Alive\r\nX-Back: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nX-Stays: 1\r\n",
      ),
    );
    await using proxy = await startProxy({ forward: { via: "here" } });
    using client = await proxy.connect();
    client.write(
      ask(
        "GET",
        origin.uri(),
        "Connection: X-Drop, keep-alive\r\nX-Drop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n" +
          "Proxy-Authorization: Basic eDp5\r\nTE: gzip\r\nUpgrade: nothing\r\nX-Keep: 1\r\n",
      ),
    );
    const { head } = await takeResponse(client);
    expect(readLines(origin.heads[0] ?? "")).toEqual([`Host: 127.0.0.1:${origin.port}`, "X-Keep: 1", "Via: 1.1 here"]);
    expect(readLines(head).map((line) => line.split(":")[0])).toEqual(["Content-Length", "X-Stays", "Date", "Via"]);
  });

  test("keeps Via of those before, in order", async () => {
    using origin = serveHttp(() => ok("", "Via: 1.0 far\r\n"));
    await using proxy = await startProxy({ forward: { via: "here" } });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri(), "Via: 1.0 first, 1.1 second (some, comment)\r\n"));
    const { head } = await takeResponse(client);
    expect(origin.heads[0]).toContain("Via: 1.0 first, 1.1 second (some, comment)\r\nVia: 1.1 here\r\n\r\n");
    expect(head).toMatch(/Via: 1.0 far\r\n(?:.*\r\n)*Via: 1.1 here\r\n\r\n$/);
  });

  test("says in Via which version the client spoke", async () => {
    using origin = serveHttp(() => ok(""));
    await using proxy = await startProxy({ forward: { via: "here" } });
    await proxy.exchange(ask("GET", origin.uri(), "", "1.0"));
    expect(origin.heads[0]).toContain("\r\nVia: 1.0 here\r\n");
  });

  test("that has been here before ends in 508", async () => {
    await using proxy = await startProxy({ forward: { via: "here" } });
    const looped = await proxy.exchange(
      ask("GET", "http://127.0.0.1:9/", "Via: 1.1 other, 1.1 here\r\nConnection: close\r\n"),
    );
    expect(looped).toStartWith("HTTP/1.1 508 ");
    expect(looped).toContain("proxy_loop_detected");
  });

  test("is not taken for a loop by a part of a name or by a comment", async () => {
    using origin = serveHttp(() => ok("fine"));
    await using proxy = await startProxy({ forward: { via: "here" } });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri(), "Via: 1.1 not-here, 1.1 x (1.1 here, 1.1 here)\r\n"));
    expect((await takeResponse(client)).body).toBe("fine");
  });

  test("to this very proxy ends in 508, before it is sent", async () => {
    await using proxy = await startProxy();
    expect(await proxy.exchange(ask("GET", `http://127.0.0.1:${proxy.port}/`, "Connection: close\r\n"))).toStartWith(
      "HTTP/1.1 508 ",
    );
  });

  test("tells nobody of the client's address, unless it is to", async () => {
    using origin = serveHttp(() => ok(""));
    for (const [forwardedFor, wanted] of [
      ["off", []],
      ["forwarded", ["Forwarded: for=127.0.0.1;proto=http"]],
      ["x-forwarded-for", ["X-Forwarded-For: 127.0.0.1"]],
      ["both", ["Forwarded: for=127.0.0.1;proto=http", "X-Forwarded-For: 127.0.0.1"]],
    ] as const) {
      await using proxy = await startProxy({ forward: { forwardedFor } });
      using client = await proxy.connect();
      client.write(ask("GET", origin.uri()));
      await takeResponse(client);
      expect(readLines(origin.heads.at(-1) ?? "").filter((line) => line.includes("orwarded"))).toEqual([...wanted]);
    }
  });

  test("never shows the origin what the client shows us", async () => {
    using origin = serveHttp(() => ok(""));
    await using proxy = await startProxy({ users: [{ name: "ann", password: "secret" }] });
    using client = await proxy.connect();
    const shown = basic("ann", "secret")["Proxy-Authorization"] ?? "";
    client.write(ask("GET", origin.uri(), `Proxy-Authorization: ${shown}\r\nAuthorization: Bearer t\r\n`));
    await takeResponse(client);
    expect(origin.heads[0]).not.toContain("Proxy-");
    expect(origin.heads[0]).toContain("\r\nAuthorization: Bearer t\r\n");
    expect(await proxy.record()).toMatchObject({ user: "ann" });
  });

  test("asks to be understood trailers only for a client that understands them", async () => {
    using origin = serveHttp(() => ok(""));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri(), "TE: trailers\r\nConnection: TE\r\n"));
    await takeResponse(client);
    expect(origin.heads[0]).toContain("\r\nConnection: TE\r\nTE: trailers\r\n");
  });
});

describe("the body of a forwarded request", () => {
  test("of some length arrives as it is, in as many parts as it came", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Content-Length: 10\r\n") + "01234");
    const origin = await server.next();
    await origin.untilText("\r\n\r\n01234");
    client.write("56789");
    await origin.untilText("\r\n\r\n0123456789");
    origin.write(ok("got it"));
    expect((await takeResponse(client)).body).toBe("got it");
  });

  test("in chunks stays in chunks, without extensions and without trailers that may not be", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"));
    client.write("5;a=b\r\nhello\r\n");
    const origin = await server.next();
    await origin.untilText("5\r\nhello\r\n");
    client.write("0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n");
    await origin.untilText("0\r\nX-Sum: 1\r\n\r\n");
    expect(origin.text).toContain("\r\nTransfer-Encoding: chunked\r\n");
    expect(origin.text).toContain("\r\nTrailer: X-Sum\r\n");
    expect(origin.text).not.toContain("a=b");
    expect(origin.text).not.toContain("Content-Length");
    origin.write(ok(""));
    await takeResponse(client);
  });

  test("waits for 100 (Continue) end to end", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("PUT", `http://127.0.0.1:${server.port}/`, "Expect: 100-continue\r\nContent-Length: 4\r\n"));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    expect(origin.text).toContain("\r\nExpect: 100-continue\r\n");
    origin.write("HTTP/1.1 100 Continue\r\n\r\n");
    await client.untilText("HTTP/1.1 100 Continue\r\n");
    client.take();
    client.write("body");
    await origin.untilText("\r\n\r\nbody");
    origin.write(ok("done"));
    expect((await takeResponse(client)).body).toBe("done");
  });

  test("need not be sent when the origin says no to the expectation", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("PUT", `http://127.0.0.1:${server.port}/`, "Expect: 100-continue\r\nContent-Length: 4\r\n"));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    const { head } = await takeResponse(client);
    expect(head).toStartWith("HTTP/1.1 417 ");
    expect(head).toContain("\r\nConnection: close\r\n");
    await client.untilEnd();
  });

  test("of an HTTP/1.0 client is not expected anything of", async () => {
    using origin = serveHttp(() => ok(""));
    await using proxy = await startProxy();
    await proxy.exchange(ask("PUT", origin.uri(), "Expect: 100-continue\r\nContent-Length: 0\r\n", "1.0"));
    expect(origin.heads[0]).not.toContain("Expect");
  });

  test("that is malformed ends the request at the origin, and is told the client", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Transfer-Encoding: chunked\r\n"));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    client.write("5\r\nhello\r\nx\r\n");
    await client.untilEnd();
    expect(client.text).toStartWith("HTTP/1.1 400 ");
    expect(client.text).toContain("bad_chunk_size");
    await origin.untilEnd();
    expect(origin.end).toBe("reset");
    expect(origin.text).not.toContain("\r\n0\r\n");
  });

  test("that ends before its end never looks whole", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Content-Length: 10\r\n") + "01234");
    const origin = await server.next();
    await origin.untilText("01234");
    client.finish();
    await origin.untilEnd();
    expect(origin.end).toBe("reset");
    await client.untilEnd();
    expect(client.text).toStartWith("HTTP/1.1 400 ");
  });
});

describe("TRACE and OPTIONS", () => {
  test("pass on with one hop less to go", async () => {
    using origin = serveHttp(() => ok(""));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    for (const method of ["OPTIONS", "TRACE"]) {
      client.write(ask(method, origin.uri("/x"), "Max-Forwards: 3\r\n"));
      await takeResponse(client);
      expect(origin.heads.at(-1)).toContain("\r\nMax-Forwards: 2\r\n");
    }
    client.write(ask("GET", origin.uri("/x"), "Max-Forwards: 3\r\n"));
    await takeResponse(client);
    expect(origin.heads.at(-1)).toContain("\r\nMax-Forwards: 3\r\n");
  });

  test("end here when they may go no further", async () => {
    using origin = serveHttp(() => ok(""));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("TRACE", origin.uri("/x"), "Max-Forwards: 0\r\nCookie: c\r\nAuthorization: a\r\nX-Mine: 1\r\n"));
    const trace = await takeResponse(client);
    expect(trace.head).toStartWith("HTTP/1.1 200 ");
    expect(trace.head).toContain("\r\nContent-Type: message/http\r\n");
    expect(trace.body).toBe(
      `TRACE ${origin.uri("/x")} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\nMax-Forwards: 0\r\nX-Mine: 1\r\n\r\n`,
    );
    client.write(ask("OPTIONS", origin.uri("/x"), "Max-Forwards: 0\r\n"));
    expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 200 ");
    expect(origin.heads).toEqual([]);
  });
});

describe("a request that cannot be forwarded", () => {
  const refusals: readonly (readonly [name: string, request: string, status: number, word: string])[] = [
    ["is for a server, not for a proxy", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 400, "not_for_a_proxy"],
    ["is for us as a server", "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", 400, "not_for_a_proxy"],
    ["has another scheme", "GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", 400, "unsupported_scheme"],
    ["has userinfo", "GET http://u:p@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", 400, "userinfo"],
    ["has a fragment", "GET http://a.example/#f HTTP/1.1\r\nHost: a.example\r\n\r\n", 400, "fragment"],
    ["has an ambiguous address", "GET http://127.1/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "ambiguous_ipv4"],
    ["has a port out of range", "GET http://a.example:65536/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "port_invalid"],
    ["has no Host", "GET http://a.example/ HTTP/1.1\r\n\r\n", 400, "missing_host"],
    ["has two Hosts", "GET http://a.example/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "repeated_host"],
    ["has a malformed Host", "GET http://a.example/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad_character"],
    [
      "has both framings",
      "POST http://a.example/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
      "conflicting_framing",
    ],
    [
      "has two lengths",
      "POST http://a.example/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
      400,
      "repeated_content_length",
    ],
    [
      "is chunked in HTTP/1.0",
      "POST http://a.example/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
      "transfer_encoding_in_http_1_0",
    ],
    [
      "is coded otherwise",
      "POST http://a.example/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      400,
      "bad_transfer_encoding",
    ],
    [
      "lets Connection name its framing",
      "POST http://a.example/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: Content-Length\r\n\r\n",
      400,
      "connection_names_framing",
    ],
    [
      "cannot be traced with a body",
      "TRACE http://a.example/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
      400,
      "body_not_allowed",
    ],
    [
      "counts its hops in words",
      "OPTIONS http://a.example/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: many\r\n\r\n",
      400,
      "bad_max_forwards",
    ],
  ];
  test.each(refusals.map(([name, ...rest]) => [name, ...rest] as const))(
    "because it %s is answered, and the connection ends",
    async (_name, request, status, word) => {
      await using proxy = await startProxy();
      const answer = await proxy.exchange(request);
      expect(answer).toStartWith(`HTTP/1.1 ${status} `);
      expect(answer).toContain("\r\nConnection: close\r\n");
      expect(answer).toContain("\r\nProxy-Status: penstock; error=http_request_error");
      expect(answer).toContain(word);
    },
  );

  test("is asked for credentials, each one anew, on a connection that stays", async () => {
    using origin = serveHttp(() => ok("in"));
    await using proxy = await startProxy({ users: [{ name: "ann", password: "secret" }] });
    using client = await proxy.connect();
    const shown = `Proxy-Authorization: ${basic("ann", "secret")["Proxy-Authorization"]}\r\n`;
    for (const [fields, status] of [
      ["", 407],
      [shown, 200],
      ["", 407],
    ] as const) {
      client.write(ask("GET", origin.uri(), fields));
      const { head } = await takeResponse(client);
      expect(head).toStartWith(`HTTP/1.1 ${status} `);
      expect(head.includes("\r\nProxy-Authenticate: Basic ")).toBe(status === 407);
    }
    expect(origin.heads).toHaveLength(1);
    await proxy.record(2);
    expect(proxy.records.map((record) => record["status"])).toEqual([407, 200, 407]);
  });

  test("is decided about each time: the next one may go elsewhere", async () => {
    using origin = serveHttp(() => ok("in"));
    await using proxy = await startProxy({
      rules: [{ name: "no", to: ["no.example"], deny: true }, allowLoopback],
    });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    expect((await takeResponse(client)).body).toBe("in");
    client.write(ask("GET", "http://no.example/"));
    const denied = await takeResponse(client);
    expect(denied.head).toStartWith("HTTP/1.1 403 ");
    expect(denied.body).toContain("denied_by_rule");
    client.write(ask("GET", "http://10.0.0.1/"));
    expect((await takeResponse(client)).body).toContain("address_prohibited");
    client.write(ask("GET", origin.uri()));
    expect((await takeResponse(client)).body).toBe("in");
  });

  test("with a body ends the connection, since the body is not read", async () => {
    await using proxy = await startProxy({ rules: [], default: "deny" });
    const answer = await proxy.exchange(ask("POST", "http://a.example/", "Content-Length: 5\r\n") + "01234");
    expect(answer).toStartWith("HTTP/1.1 403 ");
    expect(answer).toContain("\r\nConnection: close\r\n");
  });

  test("as a HEAD is refused without a body", async () => {
    await using proxy = await startProxy({ rules: [], default: "deny" });
    const answer = await proxy.exchange(ask("HEAD", "http://a.example/", "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 403 ");
    expect(answer).toEndWith("\r\n\r\n");
  });
});
