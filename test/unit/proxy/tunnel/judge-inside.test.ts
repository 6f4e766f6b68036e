import { describe, expect, test } from "bun:test";
import { ByteReader } from "../../../../src/protocol/tls/read/byte-reader.ts";
import { type ClientHello, parseClientHello } from "../../../../src/protocol/tls/read/client-hello.ts";
import type { InsideDemand } from "../../../../src/proxy/policy/inside-demand.ts";
import { judgeForwarding, judgeHello, judgeProtocol, judgeVersion } from "../../../../src/proxy/tunnel/judge-inside.ts";
import { buildClientHello, concat, serverName, u16, u8, vector } from "../../../support/build-client-hello.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { makeServerNames } from "../../../support/make-policy.ts";
import { demandTls } from "../../../support/tap-stand.ts";

function helloWith(...extensions: (readonly [number, Uint8Array])[]): ClientHello {
  const parsed = parseClientHello(new ByteReader(buildClientHello({ extensions })));
  if (parsed.kind === "bad") throw new Error(parsed.code);
  return parsed.value;
}

function judgeName(sni: NonNullable<InsideDemand["sni"]>, name: string | undefined, target = "good.example:443") {
  const hello = name === undefined ? helloWith() : helloWith(serverName(name));
  return judgeHello(demandTls({ sni }), makeEndpoint(target), hello, "")?.note;
}

describe("judgeHello()", () => {
  test("compares the server name with the target in canonical spelling", () => {
    for (const name of ["good.example", "GOOD.Example", "good.example."])
      expect(judgeName("match", name)).toBeUndefined();
    for (const name of [
      "evil.example",
      "www.good.example",
      "good.example.evil.example",
      "good.example..",
      "goodxexample",
    ])
      expect(judgeName("match", name)).toBe(`found SNI ${name}`);
    expect(judgeName("match", undefined)).toBe("found no SNI");
  });

  test("takes no address for a server name, and none for a match", () => {
    expect(judgeName("match", "192.0.2.1", "192.0.2.1:443")).toBe("found SNI 192.0.2.1");
    expect(judgeName("match", undefined, "192.0.2.1:443")).toBe("found no SNI");
    expect(judgeName(makeServerNames("*"), "192.0.2.1")).toBe("found SNI 192.0.2.1");
  });

  test("compares the server name with a list of names and suffixes", () => {
    const list = makeServerNames("one.example", "*.two.example");
    for (const name of ["one.example", "a.two.example", "A.B.TWO.example"])
      expect(judgeName(list, name)).toBeUndefined();
    for (const name of ["a.one.example", "two.example", "good.example", "xtwo.example"])
      expect(judgeName(list, name)).toBe(`found SNI ${name}`);
    expect(judgeName(makeServerNames("*"), "whatever.example")).toBeUndefined();
    expect(judgeName(makeServerNames("*"), undefined)).toBe("found no SNI");
  });

  test("counts the highest version that is offered, without GREASE", () => {
    const judge = (minVersion: number, ...versions: number[]) =>
      judgeHello(
        demandTls({ minVersion }),
        makeEndpoint("good.example:443"),
        versions.length === 0 ? helloWith() : helloWith([43, vector(1, u16(...versions))]),
        "",
      )?.note;
    expect(judge(0x0304, 0x0303, 0x0304)).toBeUndefined();
    expect(judge(0x0304, 0xfafa, 0x0303)).toBe("found TLS 1.2");
    expect(judge(0x0303)).toBeUndefined();
    expect(judge(0x0304)).toBe("found TLS 1.2");
    expect(judge(0x0303, 0x0302, 0x0301)).toBe("found TLS 1.1");
  });

  describe("with ech", () => {
    /** Of the form that BoringSSL sends as GREASE, unless told otherwise. */
    const outer = ({ kdf = 1, aead = 1, key = 32, payload = 208 }) =>
      concat(u8(0), u16(kdf, aead), u8(66), vector(2, new Uint8Array(key)), vector(2, new Uint8Array(payload)));
    const judge = (ech: "deny" | "grease", data: Uint8Array | undefined, name?: string, target = "good.example:443") =>
      judgeHello(
        demandTls({ ech }),
        makeEndpoint(target),
        helloWith(
          ...(name === undefined ? [] : [serverName(name)]),
          ...(data === undefined ? [] : [[0xfe0d, data] as const]),
        ),
        "",
      );

    test('"deny" refuses every hello that has it, outer and inner, and no other', () => {
      expect(judge("deny", undefined, "good.example")).toBeUndefined();
      expect(judge("deny", outer({}), "good.example")).toEqual({
        detail: "ech_denied",
        note: "found Encrypted Client Hello",
      });
      expect(judge("deny", u8(1), "good.example")?.detail).toBe("ech_denied");
      expect(judge("deny", outer({ payload: 500 }))?.detail).toBe("ech_denied");
    });

    test('"grease" lets pass the form of the random bytes of Chromium beside the name of the target', () => {
      for (const form of [{}, { aead: 3 }, { payload: 144 }, { payload: 176 }, { payload: 240 }])
        expect(judge("grease", outer(form), "GOOD.example")).toBeUndefined();
      expect(judge("grease", outer({}), undefined, "192.0.2.1:443")).toBeUndefined();
      expect(judge("grease", undefined, "other.example")).toBeUndefined();
    });

    test('"grease" refuses another form, and another name', () => {
      for (const form of [{ kdf: 3 }, { aead: 2 }, { key: 65 }, { payload: 272 }, { payload: 200 }, { payload: 112 }])
        expect(judge("grease", outer(form), "good.example")?.note).toBe(
          "found Encrypted Client Hello that is not like GREASE",
        );
      expect(judge("grease", u8(1), "good.example")?.detail).toBe("ech_denied");
      expect(judge("grease", outer({}), "front.example")?.note).toBe(
        "found Encrypted Client Hello with SNI front.example",
      );
      expect(judge("grease", outer({}))?.note).toBe("found Encrypted Client Hello without SNI");
      expect(judge("grease", outer({}), "front.example", "192.0.2.1:443")?.detail).toBe("ech_denied");
    });
  });

  test("asks first whether TLS may be spoken at all", () => {
    const demand: InsideDemand = { protocols: new Set(["ssh"]), sni: "match" };
    expect(judgeHello(demand, makeEndpoint("good.example:443"), helloWith(), "")?.detail).toBe("protocol_denied");
  });
});

test("judgeVersion() counts drafts of TLS 1.3 as TLS 1.3", () => {
  expect(judgeVersion(demandTls({ minVersion: 0x0304 }), 0x7f1c)).toBeUndefined();
  expect(judgeVersion(demandTls(), 0x0300)).toBeUndefined();
});

test("judgeProtocol() knows only what is listed", () => {
  const demand: InsideDemand = { protocols: new Set(["ssh", "smtp"]) };
  expect(judgeProtocol(demand, "ssh")).toBeUndefined();
  expect(judgeProtocol(demand, "http")).toEqual({ detail: "protocol_denied", note: "found http" });
});

test("judgeForwarding() takes a forwarded request for HTTP", () => {
  const decision = { verdict: "allow", rule: "r", allowPrivate: false, via: [] } as const;
  expect(judgeForwarding(decision)).toBeUndefined();
  expect(judgeForwarding({ ...decision, inside: { protocols: new Set(["tls", "http"]) } })).toBeUndefined();
  expect(judgeForwarding({ ...decision, inside: demandTls() })?.detail).toBe("protocol_denied");
});
