import { describe, expect, test } from "bun:test";
import { getEventListeners } from "node:events";
import { pause, readDetail, readJson } from "../../../src/cli/ask-sidecar.ts";

describe("a pause between two requests", () => {
  test("leaves no listener on the signal, however often it is made", async () => {
    const leaving = new AbortController();
    for (let times = 0; times < 3; times += 1) await pause(1, leaving.signal);
    expect(getEventListeners(leaving.signal, "abort")).toEqual([]);
  });

  test("ends with the signal, also with one that came before", async () => {
    const leaving = new AbortController();
    const ended = pause(3_600_000, leaving.signal);
    leaving.abort();
    await ended;
    await pause(3_600_000, leaving.signal);
    expect(getEventListeners(leaving.signal, "abort")).toEqual([]);
  });
});

describe("why a sidecar refused", () => {
  const answers = [
    ["a problem of RFC 9457", problem('{"detail":"No such tunnel."}'), "No such tunnel."],
    ["a problem without a detail", problem("{}"), "it does not say why."],
    ["what is no JSON", problem("<html>"), "it does not say why."],
    ["a line of text", text("400 this port speaks TLS\n"), "400 this port speaks TLS"],
    ["a line with control characters", text("a\u001b[2Jb"), "a\\u001b[2Jb"],
    ["an empty text", text(""), "it does not say why."],
    ["a text that breaks off", broken("text/plain"), "it does not say why."],
    ["a problem that breaks off", broken("application/problem+json"), "it does not say why."],
  ] as const;

  test.each(answers)("is read from %s", async (_, answer, said) => {
    expect(await readDetail(answer)).toBe(said);
  });

  test("has no members in an answer that breaks off", async () => {
    expect(await readJson(broken("application/json"))).toEqual({});
  });
});

function problem(body: string): Response {
  return new Response(body, { status: 403, headers: { "Content-Type": "application/problem+json" } });
}

function text(body: string): Response {
  return new Response(body, { status: 400, headers: { "Content-Type": "text/plain" } });
}

/** An answer whose connection is reset after the first bytes of its body. */
function broken(type: string): Response {
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(Buffer.from("The"));
      controller.error(new Error("ECONNRESET"));
    },
  });
  return new Response(body, { status: 400, headers: { "Content-Type": type } });
}
