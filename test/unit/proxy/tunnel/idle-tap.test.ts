import { describe, expect, test } from "bun:test";
import { ClientProfiles } from "../../../../src/protocol/tls/read/client-profiles.ts";
import { inspectTunnel } from "../../../../src/proxy/tunnel/first-bytes-tap.ts";
import type { Runtime } from "../../../../src/proxy/runtime.ts";
import type { RequestRecord } from "../../../../src/proxy/record/request-record.ts";
import type { TunnelTap } from "../../../../src/proxy/flow/tunnel.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";

function makeTap(tls: boolean): { session: RequestRecord; tap: TunnelTap | undefined } {
  const runtime = { inspect: { tls, ja3: false }, timeouts: { handshakeMs: 1000 } } as Runtime;
  const session = makeRequestRecord({ runtime, target: makeEndpoint("example.org:443") });
  const tap = inspectTunnel(session, new ClientProfiles());
  tap?.begin({ pass: () => undefined, refuse: () => undefined });
  return { session, tap };
}

describe("inspectTunnel()", () => {
  test("makes nothing where nobody wants to know", () => {
    const { session, tap } = makeTap(false);
    expect([tap, session.inside]).toEqual([undefined, undefined]);
  });

  test("counts a tunnel in which nothing is said as one that was looked into", () => {
    const { session, tap } = makeTap(true);
    expect(tap?.done).toBe(false);
    expect(tap?.upEnd()).toBeUndefined();
    tap?.close();
    expect(session.inside).toEqual({ protocol: undefined, tls: undefined });
  });

  test("tells the sessions of two tunnels apart", () => {
    const [one, other] = [makeTap(true), makeTap(true)];
    const chunk = Buffer.from("SSH-2.0-OpenSSH_9.2\r\n");
    expect(one.tap?.up(chunk)).toEqual(chunk);
    expect(one.tap?.done).toBe(true);
    expect([one.session.inside?.protocol, other.session.inside?.protocol]).toEqual(["ssh", undefined]);
  });

  test("looks also where the target speaks first", () => {
    const { session, tap } = makeTap(true);
    const greeting = Buffer.from("220 mail.example.org ESMTP\r\n");
    expect(tap?.down(greeting)).toEqual(greeting);
    tap?.up(Buffer.from("EHLO client.example\r\n"));
    expect(session.inside?.protocol).toBe("smtp");
  });
});
