import { describe, expect, test } from "bun:test";
import { allowLoopback, basic, startProxy } from "../support/proxy.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";

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
    ["has a malformed Host", "GET http://a.example/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad_host"],
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
