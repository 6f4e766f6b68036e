import { describe, expect, test } from "bun:test";
import { ask } from "../support/http-origin.ts";
import { exchange } from "../support/forwarded-exchange.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

describe("a response that cannot be forwarded is a 502", () => {
  test.each([
    ["garbage", "SSH-2.0-OpenSSH_9.2\r\n", "bad_response", "bad_version"],
    ["a head with a bare CR", "HTTP/1.1 200 OK\r\nA: b\rB: c\r\n\r\n", "bad_response", "bare_cr"],
    [
      "a folded coding",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
      "bad_response",
      "obs_fold",
    ],
    ["a folded first line", "HTTP/1.1 200 OK\r\n Content-Length: 1\r\n\r\nx", "bad_response", "obs_fold"],
    [
      "both framings",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "bad_response",
      "conflicting_framing",
    ],
    [
      "two lengths",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "bad_response",
      "repeated_content_length",
    ],
    [
      "chunks in HTTP/1.0",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "bad_response",
      "transfer_encoding_in_http_1_0",
    ],
    ["a malformed chunk right behind the head", `${CHUNKED}zz\r\n`, "bad_response", "bad_chunk_size"],
    [
      "Connection that names framing",
      "HTTP/1.1 200 OK\r\nConnection: Content-Length\r\nContent-Length: 1\r\n\r\nx",
      "bad_response",
      "connection_names_framing",
    ],
    [
      "a 101 that nobody asked for",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
      "bad_response",
      "nobody asked",
    ],
    [
      "a 407, which is no origin's to say",
      'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n',
      "bad_response",
      "407 from an origin",
    ],
    ["a huge head", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(70_000)}\r\n\r\n`, "response_head_too_large", "head_too_large"],
    [
      "too many fields",
      `HTTP/1.1 200 OK\r\n${"X: x\r\n".repeat(300)}\r\n`,
      "response_head_too_large",
      "too_many_fields",
    ],
  ])("%s", async (_name, response, detail, note) => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write(response);
    await pair.client.untilText("Connection: ");
    expect(pair.client.text).toStartWith("HTTP/1.1 502 ");
    expect(pair.client.text).toContain(detail);
    expect(pair.client.text).toContain(note);
    expect(pair.client.text).not.toContain("Proxy-Authenticate");
    await pair.origin.untilEnd();
    expect(await proxy.record()).toMatchObject({ status: 502, detail });
  });

  test("a flood of informational ones", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write("HTTP/1.1 102 Processing\r\n\r\n".repeat(300));
    await pair.client.untilText("HTTP/1.1 502 ");
    expect(pair.client.text).toContain("too many informational");
  });

  test("an origin that closes before it answers", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.finish();
    await pair.client.untilText("connection_reset");
    expect(pair.client.text).toContain("error=connection_terminated");
  });

  test("an origin that closes within the head", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write("HTTP/1.1 200 OK\r\nA: ");
    pair.origin.finish();
    await pair.client.untilText("response_incomplete");
    expect(pair.client.text).toContain("error=http_response_incomplete");
  });

  test("an origin that is not there", async () => {
    await using proxy = await startProxy();
    using server = listenRaw();
    const { port } = server;
    server[Symbol.dispose]();
    expect(await proxy.exchange(ask("GET", `http://127.0.0.1:${port}/`, "Connection: close\r\n"))).toContain(
      "error=connection_refused",
    );
  });
});

describe("an exchange that takes too long", () => {
  test("for the origin to answer is a 504", async () => {
    await using proxy = await startProxy({ timeouts: { response: "200ms" } });
    using pair = await exchange(proxy);
    await pair.client.untilText("response_timeout");
    expect(pair.client.text).toStartWith("HTTP/1.1 504 ");
    expect(pair.client.text).toContain("error=http_response_timeout");
    await pair.origin.untilEnd();
  });

  test("for the origin to end its head is a 504, however it dribbles", async () => {
    await using proxy = await startProxy({ timeouts: { response: "300ms" } });
    using pair = await exchange(proxy);
    const dribble = setInterval(() => pair.origin.write("x"), 20);
    pair.origin.write("HTTP/1.1 200 OK\r\nX: ");
    await pair.client.untilText("response_timeout");
    clearInterval(dribble);
  });

  test("for the client to send its body is a 408", async () => {
    await using proxy = await startProxy({ timeouts: { idle: "200ms" } });
    using pair = await exchange(proxy, "POST", "Content-Length: 10\r\n");
    await pair.client.untilEnd();
    expect(pair.client.text).toStartWith("HTTP/1.1 408 ");
    await pair.origin.untilEnd();
    expect(pair.origin.end).toBe("reset");
  });

  test("within the body of the response ends it without looking whole", async () => {
    await using proxy = await startProxy({ timeouts: { idle: "200ms" } });
    using pair = await exchange(proxy);
    pair.origin.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
    await pair.client.untilEnd();
    expect(pair.client.text).toEndWith("\r\n\r\n01234");
    expect(await proxy.record()).toMatchObject({ detail: "response_incomplete" });
  });
});
