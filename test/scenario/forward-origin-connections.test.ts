import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, startProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";

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

  test.each([
    ["GET", "Content-Length: 5\r\n", "inner"],
    ["HEAD", "Content-Length: 5\r\n", "inner"],
    ["DELETE", "Transfer-Encoding: chunked\r\n", "5\r\ninner\r\n0\r\n\r\n"],
  ])("is for one %s alone when it has content, which some servers take for a request", async (method, fields, body) => {
    using origin = serveHttp(({ head }) => ok(head.startsWith("HEAD") ? "" : "x"));
    await using proxy = await startProxy();
    await proxy.exchange(ask(method, origin.uri(), `${fields}Connection: close\r\n`) + body);
    await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"));
    expect(origin.heads[0]).toContain("\r\nConnection: close\r\n");
    expect(origin.heads.at(-1)).not.toContain("\r\nConnection: close\r\n");
    expect(origin.server.accepted).toHaveLength(2);
  });

  test("is used again after a request whose content is empty", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    await proxy.exchange(ask("GET", origin.uri(), "Content-Length: 0\r\nConnection: close\r\n"));
    await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"));
    expect(origin.server.accepted).toHaveLength(1);
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
    ["PUT", "Content-Length: 4\r\n", "body"],
    ["DELETE", "Content-Length: 4\r\n", "body"],
    ["PUT", `Content-Length: ${64 * 1024}\r\n`, "b".repeat(64 * 1024)],
    ["PROPFIND", "Content-Length: 4\r\n", "body"],
  ])("that turns out to be closed does not cost a %s with its body", async (method, fields, body) => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    const uri = `http://127.0.0.1:${server.port}/`;
    client.write(ask("GET", uri));
    const kept = await server.next();
    await kept.untilText("\r\n\r\n");
    kept.take();
    kept.write(ok(""));
    await takeResponse(client);
    client.write(ask(method, uri, fields) + body);
    await kept.untilText("\r\n\r\nb");
    kept.reset();
    const fresh = await server.next();
    await fresh.untilText(`\r\n\r\n${body}`);
    expect(fresh.text).toStartWith(`${method} / HTTP/1.1\r\n`);
    fresh.write(ok("done"));
    expect((await takeResponse(client)).body).toBe("done");
    // The next request still begins where the body ended.
    fresh.take();
    client.write(ask("GET", `${uri}next`));
    const next = method === "DELETE" ? await server.next() : fresh;
    await next.untilText("\r\n\r\n");
    expect(next.text).toStartWith("GET /next HTTP/1.1\r\n");
  });

  test.each([
    ["POST", ""],
    ["POST", "Content-Length: 4\r\n"],
    ["PATCH", "Content-Length: 4\r\n"],
    ["SHOUT", ""],
    ["PUT", `Content-Length: ${64 * 1024 + 1}\r\n`],
    ["PUT", "Transfer-Encoding: chunked\r\n"],
  ])("is not risked with a %s that cannot be sent twice (%p), whoever has used it", async (method, fields) => {
    const body =
      fields === ""
        ? ""
        : fields.startsWith("T")
          ? "4\r\nbody\r\n0\r\n\r\n"
          : "b".repeat(Number(/\d+/.exec(fields)?.[0]));
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    using other = await proxy.connect();
    const uri = `http://127.0.0.1:${server.port}/`;
    client.write(ask("GET", uri));
    const kept = await server.next();
    await kept.untilText("\r\n\r\n");
    kept.write(ok(""));
    await takeResponse(client);
    for (const peer of [client, other]) {
      peer.write(ask(method, uri, fields) + body);
      const fresh = await server.next();
      await fresh.untilText(`\r\n\r\n${body}`);
      fresh.write(ok("done"));
      expect((await takeResponse(peer)).body).toBe("done");
    }
    expect(server.accepted).toHaveLength(3);
    // Each took the place of the one before.
    await kept.untilEnd();
    await server.accepted[1]?.untilEnd();
    expect(server.accepted[2]?.end).toBe("open");
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
});
