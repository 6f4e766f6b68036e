import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";

const TOKEN = "tok-5f1e0c0f9d2b";
const KEY = "key-a91c77d0e4b2";

let authority: CertificateAuthority;

const resolver = createFakeResolver({ "api.example": ["127.0.0.1"], "other.example": ["127.0.0.1"] });

beforeAll(async () => {
  authority = await makeAuthority();
});

afterAll(async () => {
  await authority[Symbol.asyncDispose]();
});

/** An origin for both names over TLS. `answer` gives the response to a head. */
async function serveTls(answer: (head: string) => string = () => ok("fine")) {
  const { cert, key } = await authority.issue({ names: ["DNS:api.example", "DNS:other.example"] });
  const heads: string[] = [];
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert, key },
    socket: {
      data(socket, chunk) {
        for (const head of Buffer.from(chunk)
          .toString("latin1")
          .split(/(?<=\r\n\r\n)/)) {
          heads.push(head);
          socket.write(answer(head));
        }
      },
    },
  });
  return { heads, port: server.port, [Symbol.dispose]: () => server.stop(true) };
}

type Rule = Exclude<Extract<NonNullable<PenstockConfig["rules"]>, readonly unknown[]>[number], Function>;

/** A proxy that changes messages of api.example, and lets everything else through as it is. */
function startEditing(rule: Rule, config: PenstockConfig = {}): Promise<TestProxy> {
  return startProxy(
    {
      ...config,
      rules: [
        { name: "api", to: ["api.example"], allowPrivate: true, ...rule },
        allowLoopback,
        { to: ["other.example"], allowPrivate: true },
      ],
      forward: { ca: "ca.pem", via: "here" },
    },
    { files: { "ca.pem": authority.cert }, resolver, variables: { API_TOKEN: TOKEN, KEY } },
  );
}

const addToken = { request: { set: { authorization: { env: "API_TOKEN", prefix: "Bearer " } } } };
const exchangeKey = { request: { replace: { "sk-placeholder": { env: "KEY" } } } };

function listLines(head: string | undefined, name: string): string[] {
  return (head ?? "").split("\r\n").filter((line) => line.toLowerCase().startsWith(`${name}:`));
}

describe("a rule that sets a field of requests", () => {
  test("sets it in every request of a kept connection, in place of whatever the client sent", async () => {
    using origin = await serveTls();
    await using proxy = await startEditing(addToken);
    using client = await proxy.connect();
    const uri = `https://api.example:${origin.port}/`;
    for (const fields of ["", "Authorization: mine\r\n", "AUTHORIZATION: a\r\nauthorization: b\r\n", ""]) {
      client.write(ask("GET", uri, fields));
      expect((await takeResponse(client)).body).toBe("fine");
    }
    expect(origin.heads).toHaveLength(4);
    for (const head of origin.heads)
      expect(listLines(head, "authorization")).toEqual([`authorization: Bearer ${TOKEN}`]);
  });

  test("gives the token to no other host, whatever is pipelined after it", async () => {
    using origin = await serveTls();
    await using proxy = await startEditing(addToken);
    using client = await proxy.connect();
    const at = (host: string) => `https://${host}:${origin.port}/`;
    client.write(
      ask("GET", at("api.example")) +
        ask("GET", at("other.example"), "X-Which: 2\r\n") +
        ask("GET", at("other.example"), "Host: api.example\r\n") +
        ask("GET", at("api.example"), "X-Which: 4\r\n"),
    );
    await takeResponse(client);
    await takeResponse(client);
    // Two Host fields are refused, and end the connection.
    expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 400 ");
    const others = origin.heads.filter((head) => head.includes("Host: other.example"));
    expect(others).toHaveLength(1);
    expect(others.join("")).not.toContain(TOKEN);
  });

  test("gives the token to no request that the rule would refuse, and only reports", async () => {
    using origin = await serveTls();
    await using proxy = await startEditing({ ...addToken, protocols: ["tls"], report: true });
    using client = await proxy.connect();
    client.write(ask("GET", `https://api.example:${origin.port}/`));
    const { head } = await takeResponse(client);
    expect(head).toContain('Proxy-Status: penstock; details="reported: protocol_denied, rule api"');
    expect(origin.heads).toHaveLength(1);
    expect(listLines(origin.heads[0], "authorization")).toEqual([]);
  });

  test("passes a redirect on, and does not follow it", async () => {
    using origin = await serveTls(
      () => `HTTP/1.1 302 Found\r\nLocation: https://other.example/\r\nContent-Length: 0\r\n\r\n`,
    );
    await using proxy = await startEditing(addToken);
    using client = await proxy.connect();
    client.write(ask("GET", `https://api.example:${origin.port}/`));
    expect((await takeResponse(client)).head).toContain("\r\nLocation: https://other.example/\r\n");
    client.write(ask("GET", `https://other.example:${origin.port}/`));
    await takeResponse(client);
    expect(origin.heads.map((head) => head.includes(TOKEN))).toEqual([true, false]);
  });

  test("sends nothing in clear: a request for an http URI is refused, and the origin is not dialled", async () => {
    using origin = serveHttp(() => ok("clear"));
    await using proxy = await startEditing({ ...addToken, to: ["127.0.0.1"] });
    const answer = await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 403 Rule adds fields, which needs an https URI\r\n");
    expect(answer).toContain("\r\nProxy-Status: penstock; error=http_request_denied;");
    expect(answer).toContain('details="edits_unsafe: ');
    expect(await proxy.metrics()).toContain('{word="http_request_denied",detail="edits_unsafe"} 1\n');
    expect(answer).toContain("rule api adds fields, and the URI is not https");
    expect(origin.server.accepted).toEqual([]);
    expect(await proxy.record()).toMatchObject({ status: 403, detail: "edits_unsafe", rule: "api" });
  });

  test("sends it in clear where the rule allows that, on every request of a kept connection", async () => {
    using origin = serveHttp(() => ok("clear"));
    await using proxy = await startEditing({
      request: { ...addToken.request, allowPlain: true },
      to: ["127.0.0.1"],
    });
    using client = await proxy.connect();
    for (let round = 0; round < 4; round++) {
      client.write(ask("GET", origin.uri()));
      await takeResponse(client);
    }
    expect(origin.heads.map((head) => listLines(head, "authorization"))).toEqual(
      Array.from({ length: 4 }, () => [`authorization: Bearer ${TOKEN}`]),
    );
  });

  test.each(["TRACE", "trace", "TRACK"])(
    "refuses %s, whose answer would show the value to the client",
    async (method) => {
      using origin = await serveTls((head) => ok(head));
      await using proxy = await startEditing(addToken);
      const answer = await proxy.exchange(ask(method, `https://api.example:${origin.port}/`, "Connection: close\r\n"));
      expect(answer).toStartWith("HTTP/1.1 403 ");
      expect(answer).not.toContain(TOKEN);
      expect(origin.heads).toEqual([]);
    },
  );

  test("counts an upstream that forwards in clear as not TLS, and gives it nothing", async () => {
    using upstream = serveHttp(() => ok("forwarded"));
    await using proxy = await startEditing(
      { ...addToken, via: "clear" },
      { upstreams: { clear: `http://127.0.0.1:${upstream.port}` } },
    );
    const answer = await proxy.exchange(ask("GET", "http://api.example/", "Connection: close\r\n"));
    expect(answer).toStartWith("HTTP/1.1 403 Rule adds fields, which needs an https URI\r\n");
    expect(upstream.heads).toEqual([]);
  });

  test("sets it in a request to switch protocols, and leaves what follows alone", async () => {
    using origin = await serveTls((head) =>
      head.startsWith("GET")
        ? "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Gone: 1\r\n\r\n"
        : `echo ${head}`,
    );
    await using proxy = await startEditing({ ...addToken, response: { remove: ["x-gone"], set: { "x-new": "2" } } });
    using client = await proxy.connect();
    client.write(
      ask("GET", `https://api.example:${origin.port}/`, "Connection: Upgrade, Authorization\r\nUpgrade: websocket\r\n"),
    );
    const { head } = await takeResponse(client, false);
    expect(head).toStartWith("HTTP/1.1 101 ");
    expect(head).not.toContain("X-Gone");
    expect(head).toContain("\r\nx-new: 2\r\n");
    expect(listLines(origin.heads[0], "authorization")).toEqual([`authorization: Bearer ${TOKEN}`]);
    client.write("Authorization: sk-placeholder");
    await client.untilText("echo Authorization: sk-placeholder");
  });

  test("shows the value in no log, no page, no metric and no refusal", async () => {
    using origin = await serveTls();
    await using proxy = await startEditing({
      request: {
        ...addToken.request,
        ...exchangeKey.request,
        replace: { "sk-placeholder": { env: "KEY", in: ["x-key"] } },
      },
    });
    const uri = `https://api.example:${origin.port}/`;
    await proxy.exchange(ask("GET", uri, "X-Key: sk-placeholder\r\nConnection: close\r\n"));
    origin[Symbol.dispose]();
    const refused = await proxy.exchange(ask("GET", uri, "X-Key: sk-placeholder\r\nConnection: close\r\n"));
    expect(origin.heads[0]).toContain(TOKEN);
    expect(origin.heads[0]).toContain(KEY);
    expect(refused).toStartWith("HTTP/1.1 502 ");
    const shown = [
      refused,
      JSON.stringify(proxy.records),
      await proxy.metrics(),
      await (await proxy.ask("/config")).text(),
    ];
    for (const text of shown) {
      expect(text).not.toContain(TOKEN);
      expect(text).not.toContain(KEY);
    }
  });
});

describe("a rule that exchanges a placeholder", () => {
  test("does so in the named fields alone", async () => {
    using origin = await serveTls();
    await using proxy = await startEditing(exchangeKey);
    const fields = [
      "Authorization: Bearer sk-placeholder",
      "X-API-KEY: sk-placeholder",
      "X-Other: sk-placeholder",
      "Connection: close",
    ];
    await proxy.exchange(
      ask("GET", `https://api.example:${origin.port}/sk-placeholder?sk-placeholder`, `${fields.join("\r\n")}\r\n`),
    );
    expect(origin.heads[0]).toStartWith("GET /sk-placeholder?sk-placeholder HTTP/1.1\r\n");
    expect(listLines(origin.heads[0], "authorization")).toEqual([`Authorization: Bearer ${KEY}`]);
    expect(listLines(origin.heads[0], "x-api-key")).toEqual([`X-API-KEY: ${KEY}`]);
    expect(listLines(origin.heads[0], "x-other")).toEqual(["X-Other: sk-placeholder"]);
  });

  test("does not do so for another host", async () => {
    using origin = await serveTls();
    await using proxy = await startEditing(exchangeKey);
    const fields = "Authorization: Bearer sk-placeholder\r\nConnection: close\r\n";
    await proxy.exchange(ask("GET", `https://other.example:${origin.port}/`, fields));
    expect(listLines(origin.heads[0], "authorization")).toEqual(["Authorization: Bearer sk-placeholder"]);
  });

  test("refuses a head that repeats it until it is too large", async () => {
    using origin = await serveTls();
    await using proxy = await startEditing({ request: { replace: { "12345678": `k${"y".repeat(8000)}` } } });
    const fields = `Authorization: ${"12345678".repeat(10)}\r\nConnection: close\r\n`;
    const answer = await proxy.exchange(ask("GET", `https://api.example:${origin.port}/`, fields));
    expect(answer).toStartWith("HTTP/1.1 431 ");
    expect(origin.heads).toEqual([]);
  });
});

describe("a rule that changes responses", () => {
  test("does so on kept connections, over http too, and leaves other hosts alone", async () => {
    using origin = serveHttp(() => ok("fine", "Set-Cookie: a\r\nset-cookie: b\r\nCache-Control: public\r\n"));
    await using proxy = await startEditing({
      response: { set: { "cache-control": "no-store" }, remove: ["set-cookie"] },
    });
    using client = await proxy.connect();
    for (let round = 0; round < 3; round++) {
      client.write(ask("GET", `http://api.example:${origin.port}/`));
      const { head, body } = await takeResponse(client);
      expect(body).toBe("fine");
      expect(listLines(head, "set-cookie")).toEqual([]);
      expect(listLines(head, "cache-control")).toEqual(["cache-control: no-store"]);
    }
    client.write(ask("GET", origin.uri()));
    expect(listLines((await takeResponse(client)).head, "cache-control")).toEqual(["Cache-Control: public"]);
  });

  test("removes fields of informational responses, and sets none there", async () => {
    using origin = serveHttp(() => `HTTP/1.1 103 Early Hints\r\nLink: a\r\nX-Gone: 1\r\n\r\n${ok("fine")}`);
    await using proxy = await startEditing({ response: { set: { "x-new": "2" }, remove: ["x-gone"] } });
    using client = await proxy.connect();
    client.write(ask("GET", `http://api.example:${origin.port}/`));
    expect((await takeResponse(client, false)).head).toBe(
      "HTTP/1.1 103 Early Hints\r\nLink: a\r\nVia: 1.1 here\r\n\r\n",
    );
    expect(listLines((await takeResponse(client)).head, "x-new")).toEqual(["x-new: 2"]);
  });
});

test("a rule that sets and removes fields does so in trailers as well, where it sets none", async () => {
  using server = listenRaw();
  await using proxy = await startEditing({
    request: { set: { "x-role": { env: "KEY" } }, remove: ["x-user"], allowPlain: true },
    response: { set: { "x-cache": "no" }, remove: ["x-gone"] },
  });
  using client = await proxy.connect();
  const trailers = "X-Role: admin\r\nx_user: root\r\nX-Cache: yes\r\nX-GONE: 1\r\nX-Sum: 7\r\n\r\n";
  client.write(ask("POST", `http://api.example:${server.port}/`, "TE: trailers\r\nTransfer-Encoding: chunked\r\n"));
  client.write(`1\r\na\r\n0\r\n${trailers}`);
  const origin = await server.next();
  await origin.untilText("X-Sum: 7\r\n\r\n");
  expect(origin.text).toEndWith("\r\n0\r\nX-Cache: yes\r\nX-GONE: 1\r\nX-Sum: 7\r\n\r\n");
  origin.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${trailers}`);
  await client.untilText("X-Sum: 7\r\n\r\n");
  expect(client.text).toEndWith("\r\n0\r\nX-Role: admin\r\nx_user: root\r\nX-Sum: 7\r\n\r\n");
});

test("a rule that removes fields of requests does so over http", async () => {
  using origin = serveHttp(() => ok("fine"));
  await using proxy = await startEditing({ request: { remove: ["cookie", "User-Agent"] } });
  using client = await proxy.connect();
  for (let round = 0; round < 3; round++) {
    client.write(ask("GET", `http://api.example:${origin.port}/`, "COOKIE: a\r\nuser-agent: b\r\nX-Left: c\r\n"));
    await takeResponse(client);
  }
  expect(origin.heads.map((head) => head.split("\r\n").slice(2, -2))).toEqual(
    Array.from({ length: 3 }, () => ["X-Left: c", "Via: 1.1 here"]),
  );
});
