import { parseIp } from "../../src/address/ip.ts";
import { Recording } from "../../src/cli/trace/recording.ts";
import type { TraceRecord } from "../../src/cli/trace/trace-record.ts";
import type { TraceRequest } from "../../src/cli/trace/trace-request.ts";
import { Secret } from "../../src/secret.ts";
import { makeEndpoint } from "./make-endpoint.ts";
import { loadTlsFixture } from "./tls-fixture.ts";

const CONNECT =
  "CONNECT server.example:443 HTTP/1.1\r\nHost: server.example:443\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n";
const ESTABLISHED = "HTTP/1.1 200 Connection Established\r\nProxy-Agent: penstock\r\n\r\n";

function ip(text: string) {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

/** The trace of a recorded handshake through an HTTP proxy, a millisecond between any two segments. */
export function makeTrace(fixture = "openssl-tls13-http", parts: Partial<TraceRecord> = {}): TraceRecord {
  const { segments, keylog = "" } = loadTlsFixture(fixture);
  const recording = new Recording();
  recording.add(1, "client", Buffer.from(CONNECT));
  recording.add(2, "server", Buffer.from(ESTABLISHED));
  segments.forEach(({ from, bytes }, index) => recording.add(3 + index, from, bytes));
  recording.endedAt = 3 + segments.length;
  const inside = new Recording();
  inside.add(9, "client", Buffer.from("GET / HTTP/1.0\r\n\r\n"));
  inside.add(9.5, "server", Buffer.from("HTTP/1.0 200 ok\r\nContent-type: text/html\r\n\r\n<html>"));
  const request: TraceRequest = {
    target: { scheme: "https", endpoint: makeEndpoint("server.example:443"), path: "/" },
    proxy: {
      name: "proxy",
      kind: "http",
      endpoint: makeEndpoint("192.0.2.1:3128"),
      credentials: { user: "ci", password: new Secret("secret") },
    },
    insecure: false,
    timeoutMs: 1000,
  };
  return {
    request,
    startedAt: Date.UTC(2026, 0, 2),
    lookups: [],
    challenged: undefined,
    attempts: [{ at: 0, address: "192.0.2.1:3128", endedAt: 0.5, code: undefined }],
    wire: {
      recording,
      local: { ip: ip("192.0.2.9"), port: 50_000 },
      remote: { ip: ip("192.0.2.1"), port: 3128 },
    },
    proxyTls: undefined,
    tunnelAt: { client: CONNECT.length, server: ESTABLISHED.length },
    tls: {
      serverName: "server.example",
      secrets: keylog.split("\n"),
      verdict: { trusted: true, reason: undefined, nameFault: undefined },
      inside,
    },
    http: inside,
    cut: false,
    failure: undefined,
    endedAt: 20,
    ...parts,
  };
}
