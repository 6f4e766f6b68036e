import { describe, expect, test } from "bun:test";
import { ClientProfiles } from "../../../../src/protocol/tls/read/client-profiles.ts";
import { FirstBytesTap, planTap } from "../../../../src/proxy/tunnel/first-bytes-tap.ts";
import type { RequestRecord } from "../../../../src/proxy/record/request-record.ts";
import type { Runtime } from "../../../../src/proxy/runtime.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { demandTls } from "../../../support/tap-stand.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";

function makeRecord(tls: boolean): RequestRecord {
  const runtime = { inspect: { tls, ja3: false }, timeouts: { handshakeMs: 1000 } } as Runtime;
  return makeRequestRecord({ runtime, target: makeEndpoint("example.org:443") });
}

function makeTap(): FirstBytesTap {
  const tap = new FirstBytesTap(makeRecord(true), new ClientProfiles());
  tap.begin({ pass: () => undefined, refuse: () => undefined });
  return tap;
}

describe("planTap()", () => {
  test("has no tap made where nobody wants to know", () => {
    expect(planTap(makeRecord(false))).toBeUndefined();
  });

  test("has one made with the first bytes where only the settings ask for it", () => {
    expect(planTap(makeRecord(true))).toBe("later");
  });

  test("has one made at once where a rule demands something", () => {
    const record = makeRecord(false);
    record.decision = { verdict: "allow", rule: "r", allowPrivate: false, via: [], inside: demandTls() };
    expect(planTap(record)).toBe("now");
  });
});

describe("FirstBytesTap", () => {
  test("counts a tunnel in which nothing is said as one that was looked into", () => {
    const tap = makeTap();
    expect(tap.done).toBe(false);
    expect(tap.upEnd()).toBeUndefined();
    tap.close();
    expect(tap.facts).toEqual({ protocol: undefined, tls: undefined, failure: undefined });
  });

  test("tells the facts of two tunnels apart", () => {
    const [one, other] = [makeTap(), makeTap()];
    const chunk = Buffer.from("SSH-2.0-OpenSSH_9.2\r\n");
    expect(one.up(chunk)).toEqual(chunk);
    expect(one.done).toBe(true);
    expect([one.facts.protocol, other.facts.protocol]).toEqual(["ssh", undefined]);
  });

  test("looks also where the target speaks first", () => {
    const tap = makeTap();
    const greeting = Buffer.from("220 mail.example.org ESMTP\r\n");
    expect(tap.down(greeting)).toEqual(greeting);
    tap.up(Buffer.from("EHLO client.example\r\n"));
    expect(tap.facts.protocol).toBe("smtp");
  });
});
