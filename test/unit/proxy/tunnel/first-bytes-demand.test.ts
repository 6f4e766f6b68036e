import { describe, expect, test } from "bun:test";
import { encodeFatalAlert } from "../../../../src/protocol/tls/read/alert.ts";
import {
  buildClientHello,
  buildMessage,
  buildRecords,
  concat,
  serverName,
  u16,
  u8,
  vector,
} from "../../../support/build-client-hello.ts";
import { demandTls, makeTapStand, recordHello, replayThroughTap } from "../../../support/tap-stand.ts";
import { listTlsFixtures, loadTlsFixture, watchAll } from "../../../support/tls-fixture.ts";

const sameSni = demandTls({ sni: "match" });

describe("a tap with a demand", () => {
  test("holds every byte of the client back until the hello is whole, and loses none of them", () => {
    const { client } = loadTlsFixture("openssl-tls13");
    const [first] = watchAll("client", client);
    const stand = makeTapStand({ demand: sameSni });
    const end = first?.end ?? 0;
    for (let at = 0; at < end; at += 1) {
      expect(stand.up.length).toBe(0);
      stand.feed("client", client.subarray(at, at + 1));
    }
    expect(stand.up.equals(client.subarray(0, end))).toBe(true);
    expect(stand.failure).toBeUndefined();
  });

  test("lets what the target says through meanwhile", () => {
    const stand = makeTapStand({ demand: { protocols: new Set(["ssh"]) } });
    stand.feed("server", "SSH-2.0-server\r\n");
    stand.feed("client", "SS");
    expect([stand.down.toString(), stand.up.length]).toEqual(["SSH-2.0-server\r\n", 0]);
    stand.feed("client", "H-2.0-client\r\n");
    expect([stand.up.toString(), stand.tap.done]).toEqual(["SSH-2.0-client\r\n", true]);
  });

  test("lets all recorded connections through that meet it, whole and in pieces", () => {
    for (const name of listTlsFixtures()) {
      const fixture = loadTlsFixture(name);
      for (const piece of [Infinity, 7]) {
        const stand = replayThroughTap(name, { demand: demandTls({ minVersion: 0x0301 }) }, piece);
        expect([name, stand.failure]).toEqual([name, undefined]);
        expect(stand.up.equals(fixture.client) && stand.down.equals(fixture.server)).toBe(true);
        expect(stand.tap.done).toBe(true);
      }
    }
  });

  test("refuses another server name, and lets nothing through", () => {
    const stand = makeTapStand({ demand: sameSni, target: "good.example:443" });
    stand.feed("client", recordHello("evil.example"));
    expect(stand.failure).toEqual({ detail: "sni_mismatch", note: "found SNI evil.example" });
    expect(stand.lastWords).toEqual(encodeFatalAlert("unrecognized_name"));
    expect(stand.up.length).toBe(0);
    expect(stand.facts.tls?.sni).toBe("evil.example");
  });

  test("refuses what speaks something else, without a word that it would not understand", () => {
    const stand = makeTapStand({ demand: sameSni });
    stand.feed("client", "SSH-2.0-OpenSSH_9.2\r\n");
    expect(stand.failure).toEqual({ detail: "protocol_denied", note: "found ssh" });
    expect(stand.lastWords).toHaveLength(0);
    expect(stand.up.length).toBe(0);
  });

  test("takes a hello that cannot be read for one without a name", () => {
    const broken = concat(recordHello("good.example").subarray(0, 60), new Uint8Array(400).fill(0xff));
    for (const protocols of [["tls"], ["tls", "unknown"]] as const) {
      const stand = makeTapStand({ demand: demandTls({ sni: "match", protocols: new Set(protocols) }) });
      stand.feed("client", broken);
      expect(stand.failure?.detail).toBe("sni_mismatch");
      expect(stand.up.length).toBe(0);
    }
    const lax = makeTapStand({ demand: demandTls({ protocols: new Set(["tls", "unknown"]) }) });
    lax.feed("client", broken);
    expect([lax.failure, lax.up.length]).toEqual([undefined, broken.length]);
  });

  test("refuses a client that offers only old versions, and a server that chooses one", () => {
    const demand = demandTls({ minVersion: 0x0303 });
    const offered = replayThroughTap("openssl-protocol-version", { demand: demandTls({ minVersion: 0x0304 }) });
    expect(offered.failure).toEqual({ detail: "tls_too_old", note: "found TLS 1.2" });
    expect(offered.lastWords).toEqual(encodeFatalAlert("protocol_version"));
    expect(offered.up.length).toBe(0);

    const chosen = replayThroughTap("openssl-tls11", { demand });
    expect(chosen.failure).toEqual({ detail: "tls_too_old", note: "found TLS 1.1" });
    expect(chosen.lastWords).toEqual(encodeFatalAlert("protocol_version"));
    expect(chosen.down.length).toBe(0);
    const split = replayThroughTap("openssl-tls11", { demand }, 50);
    expect(split.failure?.detail).toBe("tls_too_old");
    // In the middle of a record of the server's an alert would not be heard.
    expect(split.lastWords).toHaveLength(0);
  });

  test("refuses a server whose answer cannot be read when it might choose too old a version", () => {
    const stand = makeTapStand({ demand: demandTls({ minVersion: 0x0303 }) });
    stand.feed("client", loadTlsFixture("curl").segments[0]?.bytes ?? "");
    stand.feed("server", "HTTP/1.1 400 Bad Request\r\n\r\n");
    expect(stand.failure?.detail).toBe("tls_too_old");
  });

  test("refuses a fingerprint that is not in the list", () => {
    const known = demandTls({ ja4: new Set(["t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"]) });
    expect(replayThroughTap("curl", { demand: known }).failure).toBeUndefined();
    const other = replayThroughTap("node", { demand: known });
    expect(other.failure).toEqual({
      detail: "fingerprint_denied",
      note: "found JA4 t13d5911h2_a33745022dd6_1f22a2ca17c4",
    });
    expect(other.lastWords).toEqual(encodeFatalAlert("access_denied"));
  });

  test("refuses Encrypted Client Hello, which Chromium sends as GREASE, unless its form may pass", () => {
    for (const name of ["chromium", "chromium-tls12"])
      for (const piece of [Infinity, 1]) {
        const denied = replayThroughTap(
          name,
          { demand: demandTls({ ech: "deny" }), target: "server.example:443" },
          piece,
        );
        expect(denied.failure).toEqual({ detail: "ech_denied", note: "found Encrypted Client Hello" });
        expect(denied.lastWords).toEqual(encodeFatalAlert("access_denied"));
        expect(denied.up).toHaveLength(0);
        const grease = { demand: demandTls({ ech: "grease" }), target: "server.example:443" };
        expect(replayThroughTap(name, grease, piece).failure).toBeUndefined();
      }
    for (const name of ["curl", "bun", "go"])
      expect(replayThroughTap(name, { demand: demandTls({ ech: "deny" }) }).failure).toBeUndefined();
  });

  test("refuses a second hello that has Encrypted Client Hello where the first one had none", () => {
    const ech = concat(u8(0), u16(1, 1), u8(66), vector(2, new Uint8Array(32)), vector(2, new Uint8Array(300)));
    const hello = (...extensions: (readonly [number, Uint8Array])[]) =>
      buildRecords(
        22,
        buildMessage(1, buildClientHello({ extensions: [serverName("server.example"), ...extensions] })),
      );
    for (const demand of [demandTls({ ech: "deny" }), demandTls({ ech: "grease" })]) {
      const stand = makeTapStand({ demand });
      stand.feed("client", hello());
      const passed = stand.up.length;
      stand.feed("client", hello([0xfe0d, ech]));
      expect(stand.failure?.detail).toBe("ech_denied");
      expect(stand.up).toHaveLength(passed);
    }
  });

  test("refuses a hello that cannot be read, since it may have Encrypted Client Hello", () => {
    const stand = makeTapStand({ demand: demandTls({ ech: "deny" }) });
    stand.feed("client", buildRecords(22, buildMessage(1, u8(3, 3))));
    expect(stand.failure?.detail).toBe("protocol_denied");
    expect(stand.up).toHaveLength(0);
  });

  test("judges the second hello after a HelloRetryRequest like the first, and never lets it through whole", () => {
    const { segments } = loadTlsFixture("openssl-tls13-hello-retry");
    expect(replayThroughTap("openssl-tls13-hello-retry", { demand: sameSni }).failure).toBeUndefined();
    for (const pieceBytes of [Infinity, 100]) {
      const stand = makeTapStand({ demand: sameSni });
      let passedBefore = 0;
      for (const [index, { from, bytes }] of segments.entries()) {
        const name = Buffer.from(bytes).indexOf("server.example", 0, "latin1");
        const changed = Buffer.from(bytes);
        if (index > 0 && from === "client" && name !== -1) changed.write("denied.example", name, "latin1");
        if (stand.failure === undefined) passedBefore = stand.up.length;
        for (let at = 0; at < changed.length; at += pieceBytes) stand.feed(from, changed.subarray(at, at + pieceBytes));
        if (stand.failure !== undefined) {
          expect(stand.up.length).toBeLessThan(passedBefore + changed.length);
          break;
        }
      }
      expect(stand.failure).toEqual({ detail: "sni_mismatch", note: "found SNI denied.example" });
    }
  });

  test("judges a second hello that does not wait for the request", () => {
    const stand = makeTapStand({ demand: sameSni });
    stand.feed("client", concat(recordHello("server.example"), recordHello("other.example")));
    expect([stand.failure?.detail, stand.up.length]).toEqual(["sni_mismatch", 0]);
  });

  test("lets nothing unreadable follow the hello before the server has answered", () => {
    const unreadable = [
      concat(u8(20, 3, 3, 0, 1, 1), buildRecords(22, recordHello("other.example"))),
      concat(u8(23, 3, 3, 0, 1, 1), recordHello("other.example")),
      u8(22, 3, 3, 0, 4, 2, 0, 0, 0),
      u8(99),
      concat(u8(23, 3, 3, 0x40, 0), new Uint8Array(1 << 14), u8(23, 3, 3, 0x40, 0), new Uint8Array(1 << 14)),
    ];
    for (const after of unreadable) {
      const stand = makeTapStand({ demand: sameSni });
      stand.feed("client", recordHello("server.example"));
      stand.feed("client", after.length === 1 ? concat(after, new Uint8Array(5)) : after);
      expect([stand.failure?.detail, stand.up.length]).toEqual(["sni_mismatch", recordHello("server.example").length]);
    }
  });

  test("lets early data through when nothing in the hello is judged", () => {
    const stand = makeTapStand({ demand: demandTls() });
    const early = concat(u8(23, 3, 3, 0x40, 0), new Uint8Array(1 << 14));
    stand.feed("client", recordHello("any.example"));
    for (let sent = 0; sent < 4; sent += 1) stand.feed("client", early);
    expect([stand.failure, stand.up.length]).toEqual([undefined, recordHello("any.example").length + 4 * early.length]);
  });

  test("judges what there is when the client says no more", () => {
    for (const [said, detail] of [
      ["", "protocol_denied"],
      ["GE", "protocol_denied"],
      ["\x16\x03", "protocol_denied"],
      [Buffer.from(recordHello("server.example").subarray(0, 60)).toString("latin1"), "sni_mismatch"],
    ] as const) {
      const stand = makeTapStand({ demand: sameSni });
      if (said !== "") stand.feed("client", said);
      stand.end();
      expect([said, stand.failure?.detail, stand.up.length]).toEqual([said, detail, 0]);
    }
    const open = makeTapStand({ demand: { protocols: new Set(["unknown"]) } });
    open.feed("client", "GE");
    open.end();
    expect([open.failure, open.up.toString()]).toEqual([undefined, "GE"]);
  });

  test("holds no more than so much", () => {
    const stand = makeTapStand({ demand: sameSni });
    const dribble = buildRecords(22, concat(u8(1, 0, 0x40, 0), new Uint8Array(1 << 14)), 1);
    for (let at = 0; at < dribble.length && stand.failure === undefined; at += 1000)
      stand.feed("client", dribble.subarray(at, at + 1000));
    expect(stand.failure?.detail).toBe("sni_mismatch");
    expect(stand.up.length).toBe(0);
  });

  test("gives a client that stays silent, or slow, its time and no more", async () => {
    const silent = makeTapStand({ demand: sameSni, deadlineMs: 1 });
    await silent.moved;
    expect(silent.failure).toEqual({ detail: "first_bytes_timeout", note: "0 bytes came in 1 ms" });
    expect(silent.facts.protocol).toBeUndefined();

    const slow = makeTapStand({ demand: sameSni, deadlineMs: 1 });
    slow.feed("client", recordHello("server.example").subarray(0, 50));
    await slow.moved;
    expect(slow.failure?.detail).toBe("first_bytes_timeout");
    expect(slow.up.length).toBe(0);
  });

  test("lets silence pass where everything does", async () => {
    const stand = makeTapStand({ demand: { protocols: new Set(["unknown"]) }, deadlineMs: 1 });
    stand.feed("client", "EH");
    await stand.moved;
    expect([stand.failure, stand.up.toString(), stand.tap.done]).toEqual([undefined, "EH", true]);
  });

  test("forgets its deadline when the tunnel is over", async () => {
    const stand = makeTapStand({ demand: sameSni, deadlineMs: 1 });
    const later = makeTapStand({ demand: sameSni, deadlineMs: 5 });
    stand.tap.close();
    await later.moved;
    expect(stand.failure).toBeUndefined();
  });
});
