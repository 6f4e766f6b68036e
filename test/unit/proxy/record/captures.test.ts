import { describe, expect, test } from "bun:test";
import { parseHost } from "../../../../src/address/host.ts";
import type { CaptureFilter } from "../../../../src/proxy/record/capture-filter.ts";
import { matchesCapture } from "../../../../src/proxy/record/capture-filter.ts";
import { Captures } from "../../../../src/proxy/record/captures.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { FakeTunnel } from "../../../support/fake-tunnel.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";

function host(text: string) {
  const parsed = parseHost(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.host;
}

const session = makeRequestRecord({ user: "ci", target: makeEndpoint("api.example.org:443") });

describe("matchesCapture()", () => {
  const matching: [string, CaptureFilter][] = [
    ["everything", {}],
    ["the host", { host: host("api.example.org") }],
    ["a name above it", { host: host("example.org"), below: true }],
    ["the host and the port", { host: host("api.example.org"), port: 443 }],
    ["the user", { user: "ci" }],
    ["the id", { id: session.id }],
  ];
  test.each(matching)("takes a tunnel by %s", (_, filter) => {
    expect(matchesCapture(filter, session)).toBe(true);
  });

  const other: [string, CaptureFilter][] = [
    ["another host", { host: host("example.org") }],
    ["a name of which it is only the end", { host: host("i.example.org"), below: true }],
    ["the very name that others must be below", { host: host("api.example.org"), below: true }],
    ["another port", { port: 80 }],
    ["another user", { user: "c" }],
    ["another id", { id: "x" }],
    ["one that fits and one that does not", { user: "ci", id: "x" }],
  ];
  test.each(other)("leaves a tunnel by %s", (_, filter) => {
    expect(matchesCapture(filter, session)).toBe(false);
  });
});

describe("Captures", () => {
  const options = { filter: {}, legs: "client", snapLength: 0 } as const;

  test("have no observer for a tunnel that nobody captures", () => {
    const captures = new Captures({ application: "test" });
    expect(captures.observers(session)).toBeUndefined();
    captures.start({ ...options, filter: { user: "other" } }, () => {});
    expect(captures.observers(session)).toBeUndefined();
    captures.start(options, () => {});
    captures.start(options, () => {});
    expect(captures.observers(session)).toHaveLength(2);
  });

  test("watch the tunnels that are there already, where they can be watched", () => {
    const captures = new Captures({ application: "test" });
    let watched = 0;
    const tunnel = Object.assign(new FakeTunnel(), { watch: () => (watched += 1) });
    captures.start(options, (visit) => {
      visit(session, tunnel);
      visit(session, new FakeTunnel());
      visit(makeRequestRecord(), tunnel);
    });
    captures.start({ ...options, filter: { user: "other" } }, (visit) => visit(session, tunnel));
    expect(watched).toBe(2);
  });

  test("are four at most, and make room when they end", () => {
    const captures = new Captures({ application: "test" });
    const started = Array.from({ length: 5 }, () => captures.start(options, () => {})?.id);
    expect(started).toEqual(["1", "2", "3", "4", undefined]);
    expect(captures.stop("2")).toBe(true);
    expect(captures.stop("2")).toBe(false);
    expect(captures.start(options, () => {})?.id).toBe("5");
    captures.stopAll();
    expect(captures.observers(session)).toBeUndefined();
  });
});
