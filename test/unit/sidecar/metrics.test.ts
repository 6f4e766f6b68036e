import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import { mountMetrics } from "../../../src/sidecar/metrics.ts";

/** Which form of the metrics is given to who sends this Accept field. */
async function choose(accept: string | undefined): Promise<string> {
  const app = new Hono();
  mountMetrics(app, { read: (_, next) => next() }, (form) => form);
  const response = await app.request("/metrics", { headers: accept === undefined ? {} : { Accept: accept } });
  expect(response.headers.get("Vary")).toBe("Accept");
  const form = await response.text();
  const type = response.headers.get("Content-Type");
  expect(type).toBe(
    form === "text"
      ? "text/plain; version=0.0.4; charset=utf-8"
      : "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  return form;
}

const PROMETHEUS =
  "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

describe("GET /metrics", () => {
  test.each([
    [PROMETHEUS],
    ["application/openmetrics-text"],
    ["Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8"],
    ["text/plain;q=0.5, application/openmetrics-text;q=0.5"],
    ["text/plain;q=0.2, */*, application/openmetrics-text;q=0.5"],
  ])("is OpenMetrics for %s", async (accept) => {
    expect(await choose(accept)).toBe("openmetrics");
  });

  test.each([
    [undefined],
    ["*/*"],
    ["text/html,application/xhtml+xml,*/*;q=0.8"],
    ["text/plain"],
    ["application/openmetrics-text;q=0"],
    ["application/openmetrics-text;q=0.5, text/plain"],
    ["application/openmetrics-text;version=2.0.0"],
    ["application/openmetrics-text;q=many"],
    [",;,"],
  ])("is text for %s", async (accept) => {
    expect(await choose(accept)).toBe("text");
  });
});
