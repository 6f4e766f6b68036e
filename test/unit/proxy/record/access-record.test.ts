import { describe, expect, test } from "bun:test";
import { listFailureDetails } from "../../../../src/proxy/failure.ts";
import { type AccessRecord, buildAccessRecord } from "../../../../src/proxy/record/access-record.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { makeIp } from "../../../support/make-policy.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";

describe("buildAccessRecord()", () => {
  test("tells of a tunnel from accept to its end", () => {
    const session = makeRequestRecord({
      id: "abc-1",
      startedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
      acceptedAt: 1000,
      stageSince: 1010,
      stage: "tunnel",
      stageMs: { accept: 0.25, handshake: 1.5, dial: 8.25 },
      protocol: "http",
      method: "CONNECT",
      target: makeEndpoint("example.org:443"),
      user: "alice",
      decision: { verdict: "allow", rule: "registry", allowPrivate: false, via: ["corp"] },
      route: { name: "corp", hops: [] },
      dialled: { ip: makeIp("192.0.2.7"), port: 3128 },
      status: 200,
      tunnel: { end: "closed", bytesUp: 17, bytesDown: 4711 },
    });
    expect<Partial<AccessRecord>>(buildAccessRecord(session, 3510)).toEqual({
      time: "2026-01-02T03:04:07.510Z",
      id: "abc-1",
      stage: "tunnel",
      listener: "127.0.0.1:8080",
      client: "10.0.0.9:50123",
      user: "alice",
      protocol: "http",
      method: "CONNECT",
      scheme: undefined,
      target: "example.org:443",
      dialled: "192.0.2.7:3128",
      rule: "registry",
      route: "corp",
      status: 200,
      error: undefined,
      detail: undefined,
      note: undefined,
      nextHop: undefined,
      receivedStatus: undefined,
      end: "closed",
      bytesUp: 17,
      bytesDown: 4711,
      ms: 2510,
      stageMs: { accept: 0.25, handshake: 1.5, dial: 8.25, tunnel: 2500 },
    });
  });

  test("tells how far a refused connection came, and why no further", () => {
    const session = makeRequestRecord({
      acceptedAt: 0,
      stageSince: 4,
      stage: "dial",
      stageMs: { accept: 1, handshake: 3 },
      status: 502,
      failure: { detail: "upstream_refused", note: "Forbidden", nextHop: "corp", receivedStatus: 403 },
    });
    expect(buildAccessRecord(session, 9)).toMatchObject({
      stage: "dial",
      status: 502,
      error: "destination_unavailable",
      detail: "upstream_refused",
      note: "Forbidden",
      nextHop: "corp",
      receivedStatus: 403,
      end: undefined,
      bytesUp: 0,
      bytesDown: 0,
      stageMs: { accept: 1, handshake: 3, dial: 5 },
    });
  });

  test("tells the bytes of a forwarded request", () => {
    const session = makeRequestRecord({ scheme: "http", method: "GET", forwarded: { up: 120, down: 1340 } });
    expect(buildAccessRecord(session, session.stageSince)).toMatchObject({
      scheme: "http",
      method: "GET",
      bytesUp: 120,
      bytesDown: 1340,
    });
  });

  test("writes an IPv6 client in brackets", () => {
    const target = makeEndpoint("[2001:db8::1]:443");
    if (target.host.kind !== "ip") throw new Error("That is an address");
    const session = makeRequestRecord({ client: target.host.ip });
    expect(buildAccessRecord(session, session.stageSince).client).toBe("[2001:db8::1]:50123");
  });

  test("keeps microseconds and no more", () => {
    const session = makeRequestRecord({
      acceptedAt: 0,
      stage: "handshake",
      stageSince: 0.123_456_7,
      stageMs: { accept: 0.123_456_7 },
    });
    const record = buildAccessRecord(session, 1);
    expect(record.stageMs).toEqual({ accept: 0.123, handshake: 0.877 });
  });

  test("does not count telling the client as part of the stage that failed", () => {
    const session = makeRequestRecord({ stage: "decide", stageSince: performance.now(), stageMs: { accept: 0.5 } });
    session.closeStage();
    session.failure = { detail: "denied_by_default" };
    const record = buildAccessRecord(session, session.stageSince + 7000);
    expect(record.stage).toBe("decide");
    expect(record.stageMs.decide).toBeLessThan(7000);
    expect(record.stageMs.respond).toBe(7000);
  });

  test("counts a second try of a stage as that stage", () => {
    const session = makeRequestRecord({ stage: "dial", stageSince: 0, stageMs: { dial: 3, forward: 5 } });
    session.enter("forward");
    expect(buildAccessRecord(session, session.stageSince + 2).stageMs).toEqual({
      dial: expect.any(Number),
      forward: 2,
    });
  });

  test("has an error type for every reason there is", () => {
    for (const detail of listFailureDetails()) {
      const session = makeRequestRecord({ failure: { detail } });
      const record = buildAccessRecord(session, session.stageSince);
      expect(record.detail).toBe(detail);
      expect(record.error).toMatch(/^[a-z_]+$/);
    }
  });
});
