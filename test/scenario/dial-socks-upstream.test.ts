import { describe, expect, test } from "bun:test";
import { allowOutside, dialInVain, type DialSetting, dialWell, makeHop } from "../support/dial-stand.ts";
import { waitFor } from "../support/proxy.ts";
import { listenRaw, type RawServer } from "../support/raw-peer.ts";

/** What each message of the client, in order, is answered with. */
type Script = readonly { readonly bytes: number; readonly answer: readonly number[] | "fin" | "silence" }[];

const NO_AUTH = { bytes: 3, answer: [5, 0] } as const;
const OFFERED_PASSWORD = { bytes: 4, answer: [5, 2] } as const;
const BOUND_4 = [1, 127, 0, 0, 1, 0x1f, 0x90];

/** A SOCKS server that knows its lines. It answers when a message of the given length has arrived. */
function listenScript(script: Script, after = ""): RawServer {
  return listenRaw((peer) => {
    void (async () => {
      let expected = 0;
      for (const { bytes, answer } of script) {
        expected += bytes;
        // A proxy that gives up says no more of its lines, and the test is over.
        await peer.until(() => peer.receivedBytes >= expected || peer.end !== "open", `${expected} bytes`);
        if (peer.receivedBytes < expected) return;
        if (answer === "fin") peer.finish();
        else if (answer !== "silence") for (const octet of answer) peer.write(Uint8Array.of(octet));
      }
      peer.write(after);
    })();
  });
}

/** Bytes of a SOCKS5 request with a name, and with an IPv4 address. */
const named = (name: string) => 7 + name.length;
const ADDRESSED_4 = 10;

async function failureOf(script: Script, setting: DialSetting & { user?: string; password?: string } = {}) {
  const { user, password, ...rest } = setting;
  using server = listenScript(script);
  const hop = makeHop("socks5h", server.port, {
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
  });
  return await dialInVain("target.example:443", { hops: [hop], ...rest });
}

describe("a dial through a SOCKS5 upstream", () => {
  test("sends the name to a socks5h upstream, and keeps what follows the reply", async () => {
    const request = { bytes: named("target.example"), answer: [5, 0, 0, ...BOUND_4] };
    using server = listenScript([NO_AUTH, request], "SSH-2.0-target\r\n");
    using tunnel = await dialWell("target.example:443", { hops: [makeHop("socks5h", server.port)] });
    await waitFor(() => tunnel.text === "SSH-2.0-target\r\n", "the banner");
    const peer = await server.next();
    expect(peer.received.subarray(0, 3)).toEqual(Buffer.from([5, 1, 0]));
    expect(peer.received.subarray(3)).toEqual(
      Buffer.from([5, 1, 0, 3, 14, ...Buffer.from("target.example"), 443 >> 8, 443 & 255]),
    );
  });

  test("takes a reply with a bound name or IPv6 address", async () => {
    const bound6 = [4, ...Array.from({ length: 16 }, () => 0), 0, 0];
    for (const bound of [[3, 2, 0x68, 0x69, 0, 0], bound6]) {
      using server = listenScript([NO_AUTH, { bytes: named("target.example"), answer: [5, 0, 0, ...bound] }], "x");
      using tunnel = await dialWell("target.example:443", { hops: [makeHop("socks5h", server.port)] });
      await waitFor(() => tunnel.text === "x", "the first byte of the tunnel");
    }
  });

  test("sends a classified address to a socks5 upstream, IPv4 where there is one", async () => {
    using server = listenScript([NO_AUTH, { bytes: ADDRESSED_4, answer: [5, 0, 0, ...BOUND_4] }]);
    using _ = await dialWell("mixed.test:443", {
      hops: [makeHop("socks5", server.port)],
      names: { "mixed.test": ["10.0.0.1", "2606:4700::1", "1.0.0.1"] },
      grant: { decision: allowOutside },
    });
    expect((await server.next()).received.subarray(3)).toEqual(Buffer.from([5, 1, 0, 1, 1, 0, 0, 1, 1, 187]));
  });

  test("refuses a name for a socks5 upstream when none of its addresses may be dialled", async () => {
    using server = listenScript([NO_AUTH]);
    const setting: DialSetting = {
      hops: [makeHop("socks5", server.port)],
      names: { "in.test": ["10.0.0.1", "fd00::1"] },
      grant: { decision: allowOutside },
    };
    expect(await dialInVain("in.test:443", setting)).toMatchObject({ detail: "address_prohibited" });
    expect(await dialInVain("nowhere.test:443", setting)).toMatchObject({ detail: "dns_error" });
  });

  test("shows its credentials where they are wanted", async () => {
    const password = { bytes: 12, answer: [1, 0] };
    const request = { bytes: named("target.example"), answer: [5, 0, 0, ...BOUND_4] };
    using server = listenScript([OFFERED_PASSWORD, password, request]);
    const hop = makeHop("socks5h", server.port, { user: "edge", password: "pass!" });
    using _ = await dialWell("target.example:443", { hops: [hop] });
    const { received } = await server.next();
    expect(received.subarray(0, 4)).toEqual(Buffer.from([5, 2, 0, 2]));
    expect(received.subarray(4, 16)).toEqual(Buffer.from([1, 4, ...Buffer.from("edge"), 5, ...Buffer.from("pass!")]));
  });

  test("shows a user without a password, with an empty one", async () => {
    const request = { bytes: named("target.example"), answer: [5, 0, 0, ...BOUND_4] };
    using server = listenScript([OFFERED_PASSWORD, { bytes: 8, answer: [1, 0] }, request]);
    const hop = makeHop("socks5h", server.port, { user: "token", password: "" });
    using _ = await dialWell("target.example:443", { hops: [hop] });
    const { received } = await server.next();
    expect(received.subarray(4, 12)).toEqual(Buffer.from([1, 5, ...Buffer.from("token"), 0]));
  });

  test("keeps its credentials where they are not wanted", async () => {
    const request = { bytes: named("target.example"), answer: [5, 0, 0, ...BOUND_4] };
    using server = listenScript([{ bytes: 4, answer: [5, 0] }, request]);
    const hop = makeHop("socks5h", server.port, { user: "edge", password: "pass!" });
    using _ = await dialWell("target.example:443", { hops: [hop] });
    expect((await server.next()).text).not.toContain("edge");
  });

  test("tells that its credentials are not accepted", async () => {
    const credentials = { user: "edge", password: "pass!" };
    expect(await failureOf([OFFERED_PASSWORD, { bytes: 12, answer: [1, 1] }], credentials)).toMatchObject({
      detail: "upstream_credentials",
      nextHop: "up",
      note: "the password is rejected",
    });
    expect(await failureOf([{ bytes: 4, answer: [5, 255] }], credentials)).toMatchObject({
      detail: "upstream_credentials",
      note: "no offered method is accepted",
    });
    expect(await failureOf([{ bytes: 3, answer: [5, 255] }])).toMatchObject({
      detail: "upstream_credentials",
      note: "a password is wanted",
    });
    expect(await failureOf([OFFERED_PASSWORD], { user: "edge", password: "x".repeat(256) })).toMatchObject({
      detail: "upstream_credentials",
      note: "they have no SOCKS5 form",
    });
  });

  test("tells how the upstream's own dial ended", async () => {
    const details = [
      "upstream_refused",
      "upstream_refused",
      "address_unroutable",
      "address_unroutable",
      "connection_refused",
      "connection_timeout",
      "upstream_refused",
      "upstream_refused",
      "upstream_refused",
    ];
    for (const [at, detail] of details.entries()) {
      const reply = { bytes: named("target.example"), answer: [5, at + 1, 0, ...BOUND_4] };
      expect(await failureOf([NO_AUTH, reply])).toMatchObject({ detail, nextHop: "up" });
    }
    expect(await failureOf([NO_AUTH, { bytes: named("target.example"), answer: [5, 2] }])).toMatchObject({
      note: "SOCKS5 not_allowed",
    });
  });

  test("does not take for an answer what is none", async () => {
    const http = [...Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")];
    expect(await failureOf([{ bytes: 3, answer: http }])).toMatchObject({
      detail: "upstream_protocol",
      note: "bad_version at byte 0",
    });
    expect(await failureOf([{ bytes: 3, answer: [5, 2] }])).toMatchObject({ note: "method_not_offered at byte 1" });
    expect(await failureOf([NO_AUTH, { bytes: named("target.example"), answer: [5, 0, 0, 9] }])).toMatchObject({
      note: "bad_address_type at byte 3",
    });
  });

  test("tells an upstream that says nothing from one that hangs up", async () => {
    expect(await failureOf([{ bytes: 3, answer: "silence" }], { connectMs: 100 })).toMatchObject({
      detail: "upstream_timeout",
    });
    expect(await failureOf([NO_AUTH, { bytes: 3, answer: "fin" }])).toMatchObject({ detail: "connection_reset" });
  });
});

describe("a dial through a SOCKS4a upstream", () => {
  const GRANTED = [0, 90, 0, 0, 0, 0, 0, 0];

  test("sends the name, and the user id, and keeps what follows the reply", async () => {
    const request = [4, 1, 1, 187, 0, 0, 0, 1, ...Buffer.from("edge\0target.example\0")];
    using server = listenScript([{ bytes: request.length, answer: GRANTED }], "banner");
    const hop = makeHop("socks4a", server.port, { user: "edge" });
    using tunnel = await dialWell("target.example:443", { hops: [hop] });
    await waitFor(() => tunnel.text === "banner", "the banner");
    expect((await server.next()).received).toEqual(Buffer.from(request));
  });

  test("sends an IPv4 address as one, and has no way to send an IPv6 address", async () => {
    using server = listenScript([{ bytes: 9, answer: GRANTED }]);
    const hops = [makeHop("socks4a", server.port)];
    using _ = await dialWell("1.0.0.1:443", { hops });
    expect((await server.next()).received).toEqual(Buffer.from([4, 1, 1, 187, 1, 0, 0, 1, 0]));
    expect(await dialInVain("[2606:4700::1]:443", { hops })).toMatchObject({
      detail: "upstream_refused",
      nextHop: "up",
      note: "SOCKS4a ipv6_not_supported",
    });
  });

  test("tells that the upstream refuses, or does not believe who we are", async () => {
    for (const [code, detail] of [
      [91, "upstream_refused"],
      [92, "upstream_credentials"],
      [93, "upstream_credentials"],
    ] as const) {
      using server = listenScript([{ bytes: 9, answer: [0, code, 0, 0, 0, 0, 0, 0] }]);
      expect(await dialInVain("1.0.0.1:443", { hops: [makeHop("socks4a", server.port)] })).toMatchObject({ detail });
    }
  });
});
