import { describe, expect, test } from "bun:test";
import { describeFailure, listFailureDetails } from "../../../src/proxy/failure.ts";
import { LiveTable } from "../../../src/proxy/record/live-table.ts";
import { Metrics } from "../../../src/proxy/record/metrics.ts";
import { writeMetricsText } from "../../../src/sidecar/metrics-text.ts";
import { FakeTunnel } from "../../support/fake-tunnel.ts";
import { makeRequestRecord } from "../../support/make-record.ts";

function write(metrics = new Metrics(), live = new LiveTable()): string {
  return writeMetricsText({ version: "1.2.3", metrics, live, accessLog: { dropped: 4 }, auth: { hits: 5, misses: 6 } });
}

/** The value of the sample that begins with `name`, labels included. */
function read(text: string, name: string): number {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
  if (line === undefined) throw new Error(`There is no ${name}`);
  return Number(line.slice(name.length + 1));
}

describe("writeMetricsText()", () => {
  test("shows every reason at zero before anything happened", () => {
    const text = write();
    for (const detail of listFailureDetails()) {
      const { word } = describeFailure(detail);
      expect(read(text, `penstock_failures_total{word="${word}",detail="${detail}"}`)).toBe(0);
    }
  });

  test("tells what is running", () => {
    const platform = `${process.platform}-${process.arch}`;
    expect(read(write(), `penstock_build_info{version="1.2.3",bun="${Bun.version}",platform="${platform}"}`)).toBe(1);
  });

  test("counts connections by listener and protocol, and failures by word and detail", () => {
    const metrics = new Metrics();
    metrics.countOpened("127.0.0.1:8080");
    metrics.countOpened("127.0.0.1:8080");
    const session = makeRequestRecord({ protocol: "socks5", failure: { detail: "dns_error" } });
    metrics.countFinished(session, { up: 0, down: 0 }, session.stageSince);
    metrics.countClosed(session);
    const text = write(metrics);
    expect(read(text, 'penstock_connections_total{listener="127.0.0.1:8080"}')).toBe(2);
    expect(read(text, "penstock_connections_open")).toBe(1);
    expect(read(text, 'penstock_connections_closed_total{listener="127.0.0.1:8080",protocol="socks5"}')).toBe(1);
    expect(read(text, 'penstock_connections_closed_total{listener="127.0.0.1:8080",protocol="http"}')).toBe(0);
    expect(read(text, 'penstock_failures_total{word="dns_error",detail="dns_error"}')).toBe(1);
  });

  test("adds the bytes of tunnels under way to those of tunnels that are over", () => {
    const metrics = new Metrics();
    metrics.bytesUp = 100;
    metrics.bytesDown = 1000;
    const live = new LiveTable();
    live.add(makeRequestRecord(), new FakeTunnel(1, 2));
    const text = write(metrics, live);
    expect(read(text, "penstock_tunnels_open")).toBe(1);
    expect(read(text, 'penstock_bytes_total{direction="up"}')).toBe(101);
    expect(read(text, 'penstock_bytes_total{direction="down"}')).toBe(1002);
  });

  test("cumulates the buckets of a stage, in seconds", () => {
    const metrics = new Metrics();
    for (const ms of [0.2, 40, 60_000]) metrics.stages.dial.observe(ms);
    const text = write(metrics);
    expect(read(text, 'penstock_stage_seconds_bucket{stage="dial",le="0.0001"}')).toBe(0);
    expect(read(text, 'penstock_stage_seconds_bucket{stage="dial",le="0.00025"}')).toBe(1);
    expect(read(text, 'penstock_stage_seconds_bucket{stage="dial",le="0.05"}')).toBe(2);
    expect(read(text, 'penstock_stage_seconds_bucket{stage="dial",le="30.0"}')).toBe(2);
    expect(read(text, 'penstock_stage_seconds_bucket{stage="dial",le="+Inf"}')).toBe(3);
    expect(read(text, 'penstock_stage_seconds_sum{stage="dial"}')).toBeCloseTo(60.0402);
    expect(read(text, 'penstock_stage_seconds_count{stage="dial"}')).toBe(3);
  });

  test("tells how tunnels ended, what the log lost and what the password cache spared", () => {
    const metrics = new Metrics();
    metrics.tunnelEnds.idle_timeout = 2;
    const text = write(metrics);
    expect(read(text, 'penstock_tunnels_total{end="idle_timeout"}')).toBe(2);
    expect(read(text, 'penstock_tunnels_total{end="closed"}')).toBe(0);
    expect(read(text, "penstock_access_log_dropped_total")).toBe(4);
    expect(read(text, 'penstock_auth_checks_total{cache="hit"}')).toBe(5);
    expect(read(text, 'penstock_auth_checks_total{cache="miss"}')).toBe(6);
  });

  test("holds the conventional metrics of the process", () => {
    const text = write();
    expect(read(text, "process_cpu_seconds_total")).toBeGreaterThan(0);
    expect(read(text, "process_resident_memory_bytes")).toBeGreaterThan(1e6);
    expect(read(text, "process_start_time_seconds")).toBeGreaterThan(1.6e9);
    expect(read(write(), "process_start_time_seconds")).toBe(read(text, "process_start_time_seconds"));
  });

  test.if(process.platform === "linux")("counts descriptors on Linux", () => {
    expect(read(write(), "process_open_fds")).toBeGreaterThan(2);
    expect(read(write(), "process_max_fds")).toBeGreaterThan(2);
  });

  test("is well-formed: one type per family, no sample without it, no sample twice", () => {
    const metrics = new Metrics();
    metrics.countOpened('odd"listener');
    const samples = new Set<string>();
    let family = "";
    for (const line of write(metrics).trimEnd().split("\n")) {
      const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
      if (type !== null) family = type[1] ?? "";
      if (line.startsWith("#")) continue;
      const sample = /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)+\})? (\S+)$/.exec(line);
      expect(sample?.[1]?.replace(/_(bucket|sum|count)$/, "")).toBe(family.replace(/_(bucket|sum|count)$/, ""));
      expect(Number(sample?.[3])).not.toBeNaN();
      expect(samples.has(`${sample?.[1]}${sample?.[2]}`)).toBe(false);
      samples.add(`${sample?.[1]}${sample?.[2]}`);
    }
    expect(samples.size).toBeGreaterThan(100);
  });
});
