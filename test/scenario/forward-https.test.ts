import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import type { Certificate } from "../support/certificate.ts";
import { ask, ok, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, startProxy, type TestProxy } from "../support/proxy.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { requireLibc } from "../support/lane-stand.ts";

let authority: CertificateAuthority;

const resolver = createFakeResolver({ "origin.example": ["127.0.0.1"] });

beforeAll(async () => {
  authority = await makeAuthority();
});

afterAll(async () => {
  await authority[Symbol.asyncDispose]();
});

/** An origin that speaks TLS and answers every request with `body`. */
function serveHttps({ cert, key }: Certificate, body = "over TLS") {
  const heads: string[] = [];
  let accepted = 0;
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert, key },
    socket: {
      open() {
        accepted += 1;
      },
      data(socket, chunk) {
        heads.push(Buffer.from(chunk).toString("latin1"));
        socket.write(ok(body));
      },
    },
  });
  return {
    heads,
    port: server.port,
    get accepted() {
      return accepted;
    },
    [Symbol.dispose]: () => server.stop(true),
  };
}

function startTrusting(config: PenstockConfig = {}): Promise<TestProxy> {
  return startProxy(
    { ...config, forward: { ca: "ca.pem", via: "here", ...config.forward } },
    { files: { "ca.pem": authority.cert }, resolver },
  );
}

describe("a request for an https URI", () => {
  test("is sent over TLS, verified, in origin-form", async () => {
    using origin = serveHttps(await authority.issue({ names: ["DNS:origin.example"] }));
    await using proxy = await startTrusting();
    using client = await proxy.connect();
    for (let round = 0; round < 2; round += 1) {
      client.write(ask("GET", `https://origin.example:${origin.port}/a?b`));
      expect((await takeResponse(client)).body).toBe("over TLS");
    }
    expect(origin.heads[0]).toBe(`GET /a?b HTTP/1.1\r\nHost: origin.example:${origin.port}\r\nVia: 1.1 here\r\n\r\n`);
    expect(origin.accepted).toBe(1);
    expect(await proxy.record()).toMatchObject({
      scheme: "https",
      status: 200,
      target: `origin.example:${origin.port}`,
    });
  });

  test("to an address is verified by that address", async () => {
    using origin = serveHttps(await authority.issue({ names: ["IP:127.0.0.1"] }));
    await using proxy = await startTrusting();
    using client = await proxy.connect();
    client.write(ask("GET", `https://127.0.0.1:${origin.port}/`));
    expect((await takeResponse(client)).body).toBe("over TLS");
  });

  test.each([
    ["for another name", { names: ["DNS:other.example"] }, "is not for origin.example"],
    ["that has expired", { names: ["DNS:origin.example"], to: "20210101000000Z" }, "has expired"],
  ] as const)("to an origin with a certificate %s is a 502", async (_name, leaf, note) => {
    using origin = serveHttps(await authority.issue(leaf));
    await using proxy = await startTrusting();
    const answer = await proxy.exchange(ask("GET", `https://origin.example:${origin.port}/`, "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 502 ");
    expect(answer).toContain("error=tls_certificate_error");
    expect(answer).toContain(note);
    expect(origin.heads).toEqual([]);
  });

  test.each(["origin.example", "127.0.0.1"])("to %s, for which nobody we trust vouches, is a 502", async (host) => {
    using origin = serveHttps(await authority.issue({ names: ["DNS:origin.example", "IP:127.0.0.1"] }));
    await using proxy = await startProxy({ rules: [allowLoopback] }, { resolver });
    const answer = await proxy.exchange(ask("GET", `https://${host}:${origin.port}/`, "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 502 ");
    expect(answer).toContain("error=tls_certificate_error");
    expect(origin.heads).toEqual([]);
  });

  test.each([
    ["another address", { names: ["IP:127.0.0.2"] }, "is not for 127.0.0.1"],
    ["no address at all", { names: ["DNS:localhost"] }, "is not for 127.0.0.1"],
    ["it, once", { names: ["IP:127.0.0.1"], to: "20210101000000Z" }, "has expired"],
  ] as const)("to an address with a certificate for %s is a 502", async (_name, leaf, note) => {
    using origin = serveHttps(await authority.issue(leaf));
    await using proxy = await startTrusting();
    const answer = await proxy.exchange(ask("GET", `https://127.0.0.1:${origin.port}/`, "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 502 ");
    expect(answer).toContain(note);
    expect(origin.heads).toEqual([]);
  });

  test("to an origin that speaks no TLS is a 502", async () => {
    const origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("clear") });
    await using proxy = await startTrusting();
    const answer = await proxy.exchange(ask("GET", `https://origin.example:${origin.port}/`, "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 502 ");
    expect(answer).toContain("error=tls_protocol_error");
    await origin.stop(true);
  });

  test("through an HTTP upstream goes in a tunnel, and TLS is between the origin and us", async () => {
    using origin = serveHttps(await authority.issue({ names: ["DNS:origin.example"] }));
    await using upstream = await startTrusting();
    await using proxy = await startTrusting({ upstream: `http://127.0.0.1:${upstream.port}`, rules: [] });
    using client = await proxy.connect();
    client.write(ask("GET", `https://origin.example:${origin.port}/`));
    expect((await takeResponse(client)).body).toBe("over TLS");
    client.finish();
    expect(await proxy.record()).toMatchObject({ method: "GET", route: "upstream" });
  });

  test("from another machine is taken over TLS only, unless told otherwise", async () => {
    using origin = serveHttps(await authority.issue({ names: ["DNS:origin.example"] }));
    const request = ask("GET", `https://origin.example:${origin.port}/`, "Connection: close\r\n");
    // A load balancer on this machine speaks for a client elsewhere.
    const introduced = `PROXY TCP4 192.0.2.7 192.0.2.1 5000 8080\r\n${request}`;
    const listen = [{ port: 0, proxyProtocol: ["127.0.0.1"] }];
    await using careful = await startTrusting({ open: true, listen });
    const answer = await careful.exchange(introduced);
    expect(answer).toStartWith("HTTP/1.1 403 ");
    expect(answer).toContain("https_in_clear");
    expect(origin.accepted).toBe(0);
    await using lavish = await startTrusting({ open: true, listen, forward: { httpsOverPlain: true } });
    expect(await lavish.exchange(introduced)).toEndWith("over TLS");
  });

  test("with an answer that ends by closing is whole after close_notify alone", async () => {
    const libc = requireLibc();
    const { cert, key } = await authority.issue({ names: ["DNS:origin.example"] });
    using server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert, key },
      socket: {
        data(socket, chunk) {
          socket.write("HTTP/1.1 200 OK\r\n\r\nall of it");
          // FIN in the middle of TLS, as somebody on the way could send it.
          if (Buffer.from(chunk).includes("/cut")) libc.shutdown((socket as unknown as { fd: number }).fd, SHUT_WR);
          else socket.end();
        },
      },
    });
    await using proxy = await startTrusting();
    for (const [path, end] of [
      ["/whole", "fin"],
      ["/cut", "reset"],
    ] as const) {
      using client = await proxy.connect();
      client.write(ask("GET", `https://origin.example:${server.port}${path}`));
      await client.untilEnd();
      expect([path, client.end]).toEqual([path, end]);
    }
  });
});

/** `shutdown(2)`: no more writing. */
const SHUT_WR = 1;
