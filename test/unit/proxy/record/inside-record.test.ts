import { describe, expect, test } from "bun:test";
import { type InsideFacts, startTlsFacts, type TlsFacts } from "../../../../src/proxy/tunnel/inside-facts.ts";
import { formatJsonLine, formatTextLine } from "../../../../src/proxy/record/access-line.ts";
import { buildAccessRecord } from "../../../../src/proxy/record/access-record.ts";
import { LiveTable } from "../../../../src/proxy/record/live-table.ts";
import type { RequestRecord } from "../../../../src/proxy/record/request-record.ts";
import { FakeTunnel } from "../../../support/fake-tunnel.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";

function makeTls(more: Partial<TlsFacts> = {}): TlsFacts {
  const profile = { alpn: ["h2", "http/1.1"], ja4: "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6" };
  return {
    ...startTlsFacts("example.org", profile, undefined),
    version: 0x0304,
    cipherSuite: 0x1302,
    resumed: false,
    ...more,
  };
}

function makeTunnel(found: Omit<InsideFacts, "failure"> | undefined, more: Partial<RequestRecord> = {}): RequestRecord {
  return makeRequestRecord({
    acceptedAt: 0,
    stage: "tunnel",
    target: makeEndpoint("example.org:443"),
    status: 200,
    tunnel: { end: "closed", bytesUp: 1, bytesDown: 2 },
    inside: found && { ...found, failure: undefined },
    ...more,
  });
}

function writeLines(session: RequestRecord): { json: Record<string, unknown>; text: string; line: string } {
  const record = buildAccessRecord(session, 0);
  const line = formatJsonLine(record);
  return { json: JSON.parse(line) as Record<string, unknown>, text: formatTextLine(record), line };
}

describe("what is inside a tunnel", () => {
  test("is written with names, in a fixed order, absent where nothing is known", () => {
    const tls = makeTls({
      version: 0x0303,
      cipherSuite: 0xc02f,
      alpnChosen: "h2",
      ja3: "0123",
      certificateExpiry: Date.UTC(2027, 0, 1),
      handshakeMs: 1.23456789,
      alert: { from: "client", description: 48 },
    });
    const { json } = writeLines(makeTunnel({ protocol: "tls", tls: { ...tls, ja3: "0123" } }));
    expect(json["inside"]).toBe("tls");
    expect(JSON.stringify(json["tls"])).toBe(
      JSON.stringify({
        sni: "example.org",
        alpn: "h2,http/1.1",
        alpn_chosen: "h2",
        version: "TLS 1.2",
        cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        resumed: false,
        ja4: "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6",
        ja3: "0123",
        certificate_expires: "2027-01-01T00:00:00.000Z",
        handshake_ms: 1.235,
        alert: "client: unknown_ca",
      }),
    );
    const bare = writeLines(
      makeTunnel({ protocol: "tls", tls: startTlsFacts(undefined, { alpn: [], ja4: "x" }, undefined) }),
    );
    expect(bare.json["tls"]).toEqual({ ja4: "x" });
    expect(writeLines(makeTunnel({ protocol: undefined, tls: undefined })).line).not.toContain("inside");
    expect(writeLines(makeTunnel(undefined)).line).not.toContain("tls");
  });

  test("is a word in the line for people, and the server name where it is another", () => {
    expect(writeLines(makeTunnel({ protocol: "tls", tls: makeTls() })).text).toContain(
      "→ example.org:443 TLS 1.3 1 B↑",
    );
    expect(writeLines(makeTunnel({ protocol: "tls", tls: makeTls({ sni: "EXAMPLE.org" }) })).text).toContain(
      "443 TLS 1.3 1 B↑",
    );
    expect(writeLines(makeTunnel({ protocol: "tls", tls: makeTls({ sni: "cdn.example" }) })).text).toContain(
      "443 TLS 1.3 for cdn.example 1 B↑",
    );
    expect(writeLines(makeTunnel({ protocol: "tls", tls: undefined })).text).toContain("443 TLS 1 B↑");
    expect(writeLines(makeTunnel({ protocol: "ssh", tls: undefined })).text).toContain("443 (ssh) 1 B↑");
  });

  test("tells why it was refused after the tunnel was opened", () => {
    const denied = makeTunnel(
      { protocol: "tls", tls: makeTls({ sni: "evil.example", version: undefined }) },
      {
        failure: { detail: "sni_mismatch", note: "found SNI evil.example" },
        tunnel: { end: "denied", bytesUp: 0, bytesDown: 0 },
      },
    );
    const { json, text } = writeLines(denied);
    expect(json).toMatchObject({ status: 200, error: "http_request_denied", detail: "sni_mismatch", end: "denied" });
    expect(text).toContain(
      'TLS for evil.example 0 B↑ 0 B↓ 0.0 ms denied sni_mismatch (http_request_denied): "found SNI evil.example"',
    );
  });

  test("cannot forge a line, nor fill the log", () => {
    const alpn = Array.from({ length: 500 }, () => "\u001b]0;x\u0007\n\u0085");
    const tls = startTlsFacts("a".repeat(9000), { alpn, ja4: "x" }, undefined);
    const { line, text } = writeLines(makeTunnel({ protocol: "tls", tls: { ...tls, alpnChosen: "\u202e\n" } }));
    for (const written of [line, text]) {
      expect(written).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect(written.length).toBeLessThan(4000);
    }
  });

  test("is in the table of live tunnels as soon as it is known", () => {
    const table = new LiveTable();
    const session = makeTunnel({ protocol: undefined, tls: undefined });
    table.add(session, new FakeTunnel());
    expect(table.list(1)[0]?.inside).toBeUndefined();
    Object.assign(session.inside ?? {}, { protocol: "tls", tls: makeTls() });
    expect(table.list(1)[0]).toMatchObject({ inside: "tls", tls: { sni: "example.org", version: "TLS 1.3" } });
  });
});
