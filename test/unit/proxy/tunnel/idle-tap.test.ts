import { describe, expect, test } from "bun:test";
import { ClientProfiles } from "../../../../src/protocol/tls/read/client-profiles.ts";
import { type FirstBytesTap, inspectTunnel } from "../../../../src/proxy/tunnel/first-bytes-tap.ts";
import type { Runtime } from "../../../../src/proxy/runtime.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";

function makeTap(tls: boolean): FirstBytesTap | undefined {
  const runtime = { inspect: { tls, ja3: false }, timeouts: { handshakeMs: 1000 } } as Runtime;
  const record = makeRequestRecord({ runtime, target: makeEndpoint("example.org:443") });
  const tap = inspectTunnel(record, new ClientProfiles());
  tap?.begin({ pass: () => undefined, refuse: () => undefined });
  return tap;
}

describe("inspectTunnel()", () => {
  test("makes nothing where nobody wants to know", () => {
    expect(makeTap(false)).toBeUndefined();
  });

  test("counts a tunnel in which nothing is said as one that was looked into", () => {
    const tap = makeTap(true);
    expect(tap?.done).toBe(false);
    expect(tap?.upEnd()).toBeUndefined();
    tap?.close();
    expect(tap?.facts).toEqual({ protocol: undefined, tls: undefined, failure: undefined });
  });

  test("tells the facts of two tunnels apart", () => {
    const [one, other] = [makeTap(true), makeTap(true)];
    const chunk = Buffer.from("SSH-2.0-OpenSSH_9.2\r\n");
    expect(one?.up(chunk)).toEqual(chunk);
    expect(one?.done).toBe(true);
    expect([one?.facts.protocol, other?.facts.protocol]).toEqual(["ssh", undefined]);
  });

  test("looks also where the target speaks first", () => {
    const tap = makeTap(true);
    const greeting = Buffer.from("220 mail.example.org ESMTP\r\n");
    expect(tap?.down(greeting)).toEqual(greeting);
    tap?.up(Buffer.from("EHLO client.example\r\n"));
    expect(tap?.facts.protocol).toBe("smtp");
  });
});
