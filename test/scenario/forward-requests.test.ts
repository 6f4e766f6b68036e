import { describe, expect, test } from "bun:test";
import { basic, startProxy } from "../support/proxy.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";

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
