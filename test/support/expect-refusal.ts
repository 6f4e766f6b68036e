import { expect } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { describeFailure, type FailureDetail } from "../../src/proxy/failure.ts";
import { writeReasonPhrase } from "../../src/proxy/read/reason-phrase.ts";
import { createFakeResolver } from "./fake-resolver.ts";
import { startProxy, type TestProxy, type TestProxyOptions, waitFor } from "./proxy.ts";

/** Names of the tests of refusals. */
export const resolver = createFakeResolver({
  "mixed.example": ["192.168.7.7", "10.1.1.1"],
  "gone.example": "dns_error",
  "slow.example": "dns_timeout",
});

/** Looks for the word and the detail of one refusal in all the places where they are promised. */
export async function expectRefusal(proxy: TestProxy, answer: string, detail: FailureDetail): Promise<void> {
  const { word, status } = describeFailure(detail);
  const [head = "", body = ""] = answer.split("\r\n\r\n", 2);
  const phrase = /^HTTP\/1\.1 [0-9]{3} ([ -~]+)\r\n/.exec(head)?.[1];
  const rule = /; details="denied_by_rule: rule ([^"]*)"/.exec(head)?.[1];
  const note = detail === "protocol_not_served" ? /; details="[a-z_]+: ([^"]*)"/.exec(head)?.[1] : undefined;
  const nextHop = /; next-hop="?([^";]*)/.exec(head)?.[1];
  const failure = { detail, ...(note !== undefined && { note }), ...(nextHop !== undefined && { nextHop }) };
  expect(phrase).toBe(writeReasonPhrase(failure, rule));
  expect(head).toStartWith(`HTTP/1.1 ${status} `);
  expect(head).toMatch(new RegExp(`\\r\\nProxy-Status: penstock; error=${word}[;\\r]`));
  expect(head).toMatch(new RegExp(`details="${detail}[": ]`));
  expect(head).toContain("\r\nConnection: close");
  expect(body).toContain(word);
  expect(body).toContain(detail);
  expect(Number(/Content-Length: (\d+)/.exec(head)?.[1])).toBe(Buffer.byteLength(body));
  const record = await waitFor(() => proxy.records.find((each) => each["detail"] === detail), `a record of ${detail}`);
  expect(record).toMatchObject({ error: word, detail, status });
  expect(await proxy.metrics()).toMatch(
    new RegExp(`^penstock_failures_total{word="${word}",detail="${detail}"} 1$`, "m"),
  );
}

/** Sends a CONNECT to a proxy with that configuration, and looks for the word. */
export async function expectOf(
  target: string,
  detail: FailureDetail,
  config: PenstockConfig = {},
  options: TestProxyOptions & { fields?: Record<string, string> } = {},
): Promise<void> {
  await using proxy = await startProxy(config, { resolver, ...options });
  const { head } = await proxy.tunnel(target, options.fields);
  await expectRefusal(proxy, head, detail);
}
