import { describe, expect, test } from "bun:test";
import { Hono, type MiddlewareHandler } from "hono";
import type { CaptureOptions } from "../../../src/proxy/record/capture.ts";
import { Captures } from "../../../src/proxy/record/captures.ts";
import { type CaptureControl, mountCapture } from "../../../src/sidecar/capture.ts";
import type { Guards } from "../../../src/sidecar/guard.ts";

/** A sidecar with nothing but captures, and what it was asked to start. */
function makeApp() {
  const captures = new Captures({ application: "test" });
  const asked: CaptureOptions[] = [];
  const app = new Hono();
  const control: CaptureControl = {
    start(options) {
      asked.push(options);
      return captures.start(options, () => {});
    },
    stop: (id) => captures.stop(id),
  };
  mountCapture(app, passAll, control, (id) => id === "a-1");
  return { app, asked };
}

const letPass: MiddlewareHandler = (_, next) => next();
const passAll: Guards = { read: letPass, operate: letPass, capture: letPass };

describe("GET /capture", () => {
  test.each([
    ["", { filter: {}, legs: "client", snapLength: 0 }],
    ["?legs=both&snaplen=96&user=ci&id=a-1", { filter: { user: "ci", id: "a-1" }, legs: "both", snapLength: 96 }],
    ["?host=EXAMPLE.org", { filter: { host: { text: "example.org" } } }],
    ["?host=*.example.org", { filter: { host: { text: "example.org" }, below: true } }],
    ["?host=example.org:8443", { filter: { host: { text: "example.org" }, port: 8443 } }],
    ["?host=[2001:db8::1]:443", { filter: { host: { text: "2001:db8::1" }, port: 443 } }],
    ["?host=2001:db8::1", { filter: { host: { text: "2001:db8::1" } } }],
    ["?host=bücher.example", { filter: { host: { text: "xn--bcher-kva.example" } } }],
  ])("understands %s", async (query, options) => {
    const { app, asked } = makeApp();
    const response = await app.request(`/capture${query}`);
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toBe("application/x-pcapng");
    expect(response.headers.get("Capture-Id")).toBe("1");
    expect(asked).toMatchObject([options]);
    await response.body?.cancel();
  });

  test.each([
    ["?hots=example.org", 'There is no parameter "hots".'],
    ["?host=", "Found an empty host."],
    ["?host=a&host=b", "Found host more than once."],
    ["?host=a%20b", '"a b" is no host.'],
    ["?host=example.org:99999", '"example.org:99999" is no host.'],
    ["?legs=all", "legs must be one of client, target, both."],
    ["?snaplen=-1", "snaplen must be a number"],
    ["?snaplen=999999", "snaplen must be a number"],
  ])("refuses %s", async (query, detail) => {
    const { app, asked } = makeApp();
    const response = await app.request(`/capture${query}`);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(JSON.stringify(detail).slice(1, -1));
    expect(asked).toEqual([]);
  });

  test("is not begun for a tunnel that is not there", async () => {
    const { app, asked } = makeApp();
    const response = await app.request("/capture?id=a-2");
    expect(response.status).toBe(404);
    expect(await response.text()).toContain("There is no tunnel of that id.");
    expect(asked).toEqual([]);
  });

  test("begins nothing for HEAD", async () => {
    const { app, asked } = makeApp();
    const response = await app.request("/capture", { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(asked).toEqual([]);
  });
});

describe("DELETE /capture/:id", () => {
  test("ends a capture, and knows no other", async () => {
    const { app } = makeApp();
    const capture = await app.request("/capture");
    expect((await app.request("/capture/2", { method: "DELETE" })).status).toBe(404);
    expect((await app.request("/capture/1?user=a", { method: "DELETE" })).status).toBe(400);
    expect((await app.request("/capture/1", { method: "DELETE" })).status).toBe(204);
    expect((await app.request("/capture/1", { method: "DELETE" })).status).toBe(404);
    expect((await capture.bytes()).length).toBeGreaterThan(0);
  });
});
