import { describe, expect, test } from "bun:test";
import { listSteps } from "../../../../src/cli/trace/list-steps.ts";
import type { TraceRecord } from "../../../../src/cli/trace/trace-record.ts";
import { writeTraceJson } from "../../../../src/cli/trace/write-json.ts";
import { writeTraceMermaid } from "../../../../src/cli/trace/write-mermaid.ts";
import { writeTracePcapng } from "../../../../src/cli/trace/write-pcapng.ts";
import { writeTraceText } from "../../../../src/cli/trace/write-text.ts";
import { createPaint } from "../../../../src/cli/style.ts";
import { makeTrace } from "../../../support/make-trace.ts";
import { joinStream, readCapture } from "../../../support/read-capture.ts";

const tell = (record: TraceRecord) => listSteps(record, { roots: [], source: "the test", now: record.startedAt });
const text = (record: TraceRecord, colour = false) =>
  writeTraceText(record, tell(record), createPaint(colour ? "all" : "plain"));
const failure = { stage: "certificate", at: 12.34, text: "The certificate cannot be trusted" } as const;

describe("writeTraceText()", () => {
  test("draws arrows between the parties, with times and sizes", () => {
    const lines = text(makeTrace()).split("\n");
    expect(lines[0]).toBe("trace of https://server.example/, 2026-01-02T00:00:00.000Z");
    expect(lines[2]).toBe(
      "       ms  client 192.0.2.9          http proxy 192.0.2.1:3128                server.example:443",
    );
    expect(lines).toContain("    0.000  ├── TCP connect to 192.0.2.1:3128 ───▶│                                     │");
    expect(lines).toContain(
      "    3.000  ├── ClientHello ───────────────────────────────────────────────────────────▶│       320 B",
    );
    expect(lines).toContain(
      "    4.000  │◀── {Finished} ────────────────────────────────────────────────────────────┤        52 B",
    );
    expect(lines.at(-2)).toBe("done       in 20.0 ms");
  });

  test("stays within 100 columns, whatever it has to say", () => {
    for (const fixture of ["openssl-tls13-http", "openssl-tls12-http", "curl", "java"])
      for (const line of text(makeTrace(fixture, { failure })).split("\n"))
        expect(line.length).toBeLessThanOrEqual(100);
  });

  test("has no colour unless that is asked for, and reads the same with it", () => {
    const record = makeTrace("openssl-tls13-http", { failure });
    expect(text(record)).not.toContain("\u001b");
    const coloured = text(record, true);
    expect(coloured).toContain("\u001b[36m");
    expect(Bun.stripANSI(coloured).replace(/ +$/gm, "")).toBe(text(record));
  });

  test("ends with where it failed", () => {
    expect(text(makeTrace("openssl-tls13-http", { failure }))).toEndWith(
      "failed     certificate, after 12.3 ms: The certificate cannot be trusted.\n",
    );
  });

  test("lets nothing of a peer control the terminal", () => {
    const record = makeTrace();
    record.http?.chunks.splice(0);
    record.http?.add(9, "server", Buffer.from("HTTP/1.0 200 \x85k\r\nX: \x9b31mred\r\n\r\n", "latin1"));
    expect(text(record)).toMatch(/\\u009b31mred/);
    expect(text(record)).not.toMatch(/[^\P{Cc}\n]/u);
  });
});

describe("writeTraceMermaid()", () => {
  test("writes a sequence diagram with real figures", () => {
    const lines = writeTraceMermaid(makeTrace(), tell(makeTrace())).split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "sequenceDiagram",
      "    participant C as client 192.0.2.9",
      "    participant P as http proxy 192.0.2.1:3128",
      "    participant S as server.example:443",
    ]);
    expect(lines).toContain("    C->>P: CONNECT server.example:443 HTTP/1.1<br/>1.0 ms, 102 bytes");
    expect(lines.find((line) => line.includes("ServerHello"))).toBe(
      "    S-->>C: ServerHello<br/>version: TLS 1.3<br/>cipher suite: TLS_AES_256_GCM_SHA384<br/>key share: x25519 (32 bytes)<br/>4.0 ms, 127 bytes",
    );
  });

  test("escapes what means something to Mermaid", () => {
    const record = makeTrace("openssl-tls13-http", { failure: { ...failure, text: "a;b #c <d>" } });
    expect(writeTraceMermaid(record, tell(record))).toContain("certificate. a#59;b #35;c #60;d#62;\n");
  });
});

describe("writeTraceJson()", () => {
  test("tells everything but keys and credentials", () => {
    const record = makeTrace("openssl-tls13-http", { failure });
    const json = writeTraceJson(record, tell(record));
    const trace = JSON.parse(json) as { steps: { name: string }[] };
    expect(trace).toMatchObject({
      target: "https://server.example/",
      proxy: "http://192.0.2.1:3128",
      started_at: "2026-01-02T00:00:00.000Z",
      ok: false,
      failure: { stage: "certificate", at_ms: 12.34, text: "The certificate cannot be trusted" },
      tls: { version: "TLS 1.3", cipher_suite: "TLS_AES_256_GCM_SHA384", group: "x25519" },
    });
    expect(trace.steps.find(({ name }) => name === "ServerHello")).toEqual({
      at_ms: 4,
      from: "server",
      to: "client",
      layer: "tls",
      name: "ServerHello",
      bytes: 127,
      encrypted: false,
      fields: expect.arrayContaining([{ label: "version", value: "TLS 1.3" }]),
    } as never);
    expect(json).not.toContain("c2VjcmV0");
    for (const line of record.tls?.secrets ?? []) if (line !== "") expect(json).not.toContain(line.split(" ")[2] ?? "");
  });
});

describe("writeTracePcapng()", () => {
  test("writes the bytes of the wire, and totals", () => {
    const record = makeTrace();
    const { packets, statistics, interfaces } = readCapture(writeTracePcapng(record));
    expect(interfaces.map(({ name }) => name)).toEqual(["wire"]);
    expect(joinStream(packets, 50_000, 3128)).toEqual(Buffer.from(record.wire?.recording.bytesOf("client") ?? []));
    expect(joinStream(packets, 3128, 50_000)).toEqual(Buffer.from(record.wire?.recording.bytesOf("server") ?? []));
    expect(statistics).toEqual([{ received: BigInt(packets.length), dropped: 0n, ended: true }]);
  });

  test("adds the inside of a tunnel where Wireshark does not look", () => {
    const record = makeTrace();
    const { proxy } = record.request;
    if (proxy === undefined) throw new Error("The trace is through a proxy");
    const request = { ...record.request, proxy: { ...proxy, kind: "socks5h" as const } };
    const { packets, interfaces } = readCapture(writeTracePcapng({ ...record, request }));
    expect(interfaces.map(({ name }) => name)).toEqual(["wire", "tunnel"]);
    const inside = record.wire?.recording.after(record.tunnelAt ?? { client: 0, server: 0 });
    expect(joinStream(packets, 50_000, 443)).toEqual(Buffer.from(inside?.bytesOf("client") ?? []));
  });

  test("has nothing but a head and totals when there was no connection", () => {
    const { packets } = readCapture(writeTracePcapng(makeTrace("openssl-tls13", { wire: undefined, tls: undefined })));
    expect(packets).toEqual([]);
  });
});
