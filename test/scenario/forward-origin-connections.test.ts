import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, startProxy } from "../support/proxy.ts";

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
