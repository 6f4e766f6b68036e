import { describe, expect, test } from "bun:test";
import { listFailureDetails } from "../../../../src/proxy/failure.ts";
import { AccessLog, type AccessFormat } from "../../../../src/proxy/record/access-log.ts";
import { EventStream } from "../../../../src/proxy/record/events/event-stream.ts";
import { RequestEvents } from "../../../../src/proxy/record/events/request-events.ts";
import { LiveCounters } from "../../../../src/proxy/record/live/live-counters.ts";
import { LiveTable } from "../../../../src/proxy/record/live-table.ts";
import { Metrics } from "../../../../src/proxy/record/metrics.ts";
import { createRecorder } from "../../../../src/proxy/record/recorder.ts";
import { FakeTunnel } from "../../../support/fake-tunnel.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";

function makeStand(format: AccessFormat = "json") {
  const lines: string[] = [];
  const accessLog = new AccessLog({ format, sink: (text) => void lines.push(text) });
  const metrics = new Metrics();
  const live = new LiveTable();
  const stream = new EventStream({ origin: "test" });
  return {
    lines,
    accessLog,
    metrics,
    live,
    recorder: createRecorder({
      accessLog,
      metrics,
      live,
      events: new RequestEvents(stream),
      counters: new LiveCounters(),
    }),
  };
}

describe("createRecorder()", () => {
  test("counts a connection while it is open, and writes its line when it is over", async () => {
    const { recorder, metrics, accessLog, lines } = makeStand();
    const session = makeRequestRecord({ id: "a" });
    recorder.opened(session);
    expect(metrics.connectionsOpen).toBe(1);
    expect(metrics.accepted.get("127.0.0.1:8080")).toBe(1);
    session.protocol = "http";
    session.failure = { detail: "credentials_wrong" };
    recorder.finished(session);
    recorder.closed(session);
    expect(metrics.connectionsOpen).toBe(0);
    expect(metrics.finished.get("127.0.0.1:8080")).toEqual({ http: 1, socks5: 0, socks4: 0, unknown: 0 });
    expect(metrics.failures.credentials_wrong).toBe(1);
    await accessLog.stop();
    expect(lines.join("")).toContain('"id":"a"');
  });

  test("counts a connection on which nothing was said as a probe, without a line or a failure", async () => {
    const { recorder, metrics, accessLog, lines } = makeStand();
    for (const stage of ["accept", "handshake"] as const) {
      const session = makeRequestRecord({ stage });
      recorder.opened(session);
      recorder.finished(session);
      recorder.closed(session);
    }
    expect(metrics.probes.get("127.0.0.1:8080")).toBe(2);
    expect(metrics.connectionsOpen).toBe(0);
    expect(Object.values(metrics.failures).every((count) => count === 0)).toBe(true);
    await accessLog.stop();
    expect(lines).toEqual([]);
  });

  test("shows a tunnel in the live table for as long as it is there", () => {
    const { recorder, live } = makeStand();
    const session = makeRequestRecord({ id: "a" });
    recorder.opened(session);
    session.enter("tunnel");
    recorder.tunnelOpened(session, new FakeTunnel());
    expect(live.list(performance.now()).map(({ id }) => id)).toEqual(["a"]);
    session.tunnel = { end: "closed", bytesUp: 3, bytesDown: 4 };
    recorder.finished(session);
    recorder.closed(session);
    expect(live.size).toBe(0);
  });

  test("never lets the byte counters go back when a tunnel ends", () => {
    const { recorder, metrics, live } = makeStand();
    const session = makeRequestRecord({ id: "a" });
    recorder.opened(session);
    session.enter("tunnel");
    recorder.tunnelOpened(session, new FakeTunnel(100, 200));
    const total = () => [metrics.bytesUp + live.bytes().up, metrics.bytesDown + live.bytes().down];
    expect(total()).toEqual([100, 200]);
    session.tunnel = { end: "client_reset", bytesUp: 100, bytesDown: 210 };
    recorder.finished(session);
    recorder.closed(session);
    expect(total()).toEqual([100, 210]);
    expect(metrics.tunnelEnds.client_reset).toBe(1);
  });

  test("keeps the bytes of a tunnel whose result was lost", () => {
    const { recorder, metrics } = makeStand();
    const session = makeRequestRecord({ id: "a", failure: { detail: "internal_error" } });
    recorder.opened(session);
    session.enter("tunnel");
    recorder.tunnelOpened(session, new FakeTunnel(5, 6));
    recorder.finished(session);
    recorder.closed(session);
    expect([metrics.bytesUp, metrics.bytesDown]).toEqual([5, 6]);
  });

  test("counts the bytes of forwarded requests with those of tunnels", () => {
    const { recorder, metrics } = makeStand();
    const session = makeRequestRecord({ forwarded: { up: 7, down: 8 } });
    recorder.opened(session);
    session.enter("forward");
    recorder.finished(session);
    recorder.closed(session);
    expect([metrics.bytesUp, metrics.bytesDown]).toEqual([7, 8]);
  });

  test("observes every stage once, and tunnels by their own measure", () => {
    const { recorder, metrics } = makeStand();
    const session = makeRequestRecord();
    recorder.opened(session);
    for (const stage of ["handshake", "authenticate", "decide", "route", "dial", "respond", "tunnel"] as const) {
      session.enter(stage);
    }
    session.tunnel = { end: "closed", bytesUp: 0, bytesDown: 0 };
    recorder.finished(session);
    recorder.closed(session);
    expect(Object.entries(metrics.stages).map(([stage, { count }]) => [stage, count])).toEqual([
      ["accept", 1],
      ["handshake", 1],
      ["authenticate", 1],
      ["request", 0],
      ["decide", 1],
      ["route", 1],
      ["dial", 1],
      ["respond", 1],
      ["forward", 0],
    ]);
    expect(metrics.tunnelDuration.count).toBe(1);
  });

  test("observes the stage in which a connection failed", () => {
    const { recorder, metrics } = makeStand();
    const session = makeRequestRecord();
    recorder.opened(session);
    session.enter("handshake");
    session.failure = { detail: "malformed_request" };
    recorder.finished(session);
    recorder.closed(session);
    expect([metrics.stages.accept.count, metrics.stages.handshake.count, metrics.stages.dial.count]).toEqual([1, 1, 0]);
    expect(metrics.tunnelDuration.count).toBe(0);
    expect(metrics.finished.get(session.listener)?.unknown).toBe(1);
  });

  test("builds no line when there is no access log", async () => {
    const { recorder, accessLog, lines } = makeStand("off");
    const session = makeRequestRecord();
    recorder.opened(session);
    recorder.finished(session);
    recorder.closed(session);
    await accessLog.stop();
    expect(lines).toEqual([]);
  });
});

describe("Metrics", () => {
  test("knows every reason from the beginning", () => {
    const { failures } = new Metrics();
    expect(Object.keys(failures)).toEqual(listFailureDetails());
    expect(Object.values(failures).every((count) => count === 0)).toBe(true);
  });
});
