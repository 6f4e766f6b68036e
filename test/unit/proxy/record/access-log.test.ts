import { describe, expect, test } from "bun:test";
import { type AccessFormat, AccessLog, type LogSink } from "../../../../src/proxy/record/access-log.ts";
import { type AccessRecord, buildAccessRecord } from "../../../../src/proxy/record/access-record.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";

function makeRecord(id: string): AccessRecord {
  const session = makeRequestRecord({ id });
  return buildAccessRecord(session, session.stageSince);
}

function makeLog(sink: LogSink, pendingLimit?: number, format: AccessFormat = "json"): AccessLog {
  return new AccessLog({ format, sink, gatherMs: 1, ...(pendingLimit === undefined ? {} : { pendingLimit }) });
}

function readIds(text: string): string[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { id: string }).id);
}

describe("AccessLog", () => {
  test("gathers the lines of a moment into one write", async () => {
    const writes: string[] = [];
    const log = makeLog((text) => void writes.push(text));
    for (const id of ["1", "2", "3"]) log.write(makeRecord(id));
    expect(writes).toEqual([]);
    await log.stop();
    expect(writes.map(readIds)).toEqual([["1", "2", "3"]]);
    expect(writes[0]).toEndWith("}\n");
  });

  test("writes by itself after a moment", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    makeLog(resolve).write(makeRecord("1"));
    expect(readIds(await promise)).toEqual(["1"]);
  });

  test("writes at once when much has gathered", () => {
    const writes: string[] = [];
    const log = makeLog((text) => void writes.push(text));
    const record = makeRecord("1");
    while (writes.length === 0) log.write(record);
    expect(writes[0]?.length).toBeGreaterThan(60_000);
    expect(writes[0]?.length).toBeLessThan(70_000);
  });

  test("does not call a sink that is still busy, and keeps the order", async () => {
    const writes: string[] = [];
    const gates: (() => void)[] = [];
    const log = makeLog((text) => {
      writes.push(text);
      return new Promise((resolve) => gates.push(resolve));
    });
    log.write(makeRecord("1"));
    const stopped = log.stop();
    log.write(makeRecord("2"));
    log.write(makeRecord("3"));
    expect(writes).toHaveLength(1);
    gates.shift()?.();
    while (gates.length === 0) await Promise.resolve();
    gates.shift()?.();
    await stopped;
    expect(writes.map(readIds)).toEqual([["1"], ["2", "3"]]);
    expect(log.dropped).toBe(0);
  });

  test("drops and counts lines beyond its bound while the sink is stuck", async () => {
    let taken = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const log = makeLog(async (text) => {
      taken += readIds(text).length;
      await promise;
    }, 5000);
    for (let count = 0; count < 1000; count += 1) log.write(makeRecord("1"));
    const stopped = log.stop();
    for (let count = 0; count < 1000; count += 1) log.write(makeRecord("1"));
    expect(log.dropped).toBeGreaterThan(1900);
    resolve();
    await stopped;
    expect(taken + log.dropped).toBe(2000);
  });

  test("counts the lines that a failing sink loses and goes on", async () => {
    const texts: string[] = [];
    let calls = 0;
    const log = makeLog((text) => {
      calls += 1;
      if (calls === 1) throw new Error("EPIPE");
      if (calls === 2) return Promise.reject(new Error("ENOSPC"));
      texts.push(text);
      return undefined;
    });
    log.write(makeRecord("1"));
    log.write(makeRecord("2"));
    await log.stop();
    expect(log.dropped).toBe(2);
    log.write(makeRecord("3"));
    await log.stop();
    expect(log.dropped).toBe(3);
    log.write(makeRecord("4"));
    await log.stop();
    expect(texts.map(readIds)).toEqual([["4"]]);
  });

  test("writes nothing when it is off", async () => {
    const writes: string[] = [];
    const log = makeLog((text) => void writes.push(text), undefined, "off");
    expect(log.enabled).toBe(false);
    log.write(makeRecord("1"));
    await log.stop();
    expect(writes).toEqual([]);
  });

  test("writes the human form when that is asked for", async () => {
    let written = "";
    const log = makeLog((text) => void (written += text), undefined, "text");
    log.write(makeRecord("abc-1"));
    await log.stop();
    expect(written).toEndWith("[abc-1]\n");
  });
});
