import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";

/** Runs `penstock trace --format json` and gives what it printed. */
async function trace(...args: string[]) {
  const io = createFakeIo({ folder: "/" });
  const code = await runCli(["trace", "--format", "json", ...args], io);
  const json = JSON.parse(io.printed()) as { readonly failure?: { readonly stage: string; readonly text: string } };
  return { code, printed: io.printed().length, json };
}

/** Sends `begin` once, and then `again` as often as it is taken. Tells how many bytes were. */
function listenEndless(begin: string, again: string) {
  const chunk = Buffer.from(again.repeat(Math.ceil(65_536 / again.length)));
  let rest = Buffer.alloc(0);
  let sent = 0;
  const pour = (socket: { write(bytes: Uint8Array): number }): void => {
    for (;;) {
      const bytes = rest.length > 0 ? rest : chunk;
      const taken = Math.max(0, socket.write(bytes));
      sent += taken;
      rest = bytes.subarray(taken);
      if (taken < bytes.length) return;
    }
  };
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        if (sent === 0) socket.write(begin);
        pour(socket);
      },
      drain: pour,
      error() {},
    },
  });
  return {
    port: server.port,
    get sent() {
      return sent;
    },
    [Symbol.dispose]: () => server.stop(true),
  };
}

describe("penstock trace, at a server that never stops", () => {
  test.each([
    ["interim responses", "", `HTTP/1.1 103 Early Hints\r\nX: ${"a".repeat(60_000)}\r\n\r\n`, "more than 32 interim"],
    ["small interim responses", "", "HTTP/1.1 100 Continue\r\n\r\n", "more than 32 interim"],
    ["a head", "HTTP/1.1 200 OK\r\n", "X: y\r\n", "not well-formed"],
    ["a body", "HTTP/1.1 200 OK\r\n\r\n", "body", undefined],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", undefined],
    ["trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n", "not well-formed"],
  ])("keeps a little of endless %s, and ends", async (_, begin, again, text) => {
    using endless = listenEndless(begin, again);
    const { code, json, printed } = await trace(`http://127.0.0.1:${endless.port}`);
    expect(code).toBe(text === undefined ? 0 : 1);
    if (text !== undefined) expect(json.failure).toMatchObject({ stage: "http", text: expect.stringContaining(text) });
    expect(printed).toBeLessThan(20 * 1024 * 1024);
    expect(endless.sent).toBeLessThan(64 * 1024 * 1024);
  });

  test.each([
    ["interim responses", "", "HTTP/1.1 100 Continue\r\n\r\n"],
    ["a head", "HTTP/1.1 200 OK\r\n", "X: y\r\n"],
    ["the body of a refusal", "HTTP/1.1 403 No\r\n\r\n", "body"],
  ])("keeps a little of endless %s of a proxy, and ends", async (_, begin, again) => {
    using endless = listenEndless(begin, again);
    const { code, json } = await trace("https://example.test", "--proxy", `http://127.0.0.1:${endless.port}`);
    expect(code).toBe(1);
    expect(json.failure).toMatchObject({ stage: "proxy" });
    expect(endless.sent).toBeLessThan(64 * 1024 * 1024);
  });
});
