import { describe, expect, test } from "bun:test";
import type { InsideDemand } from "../../../../src/proxy/policy/inside-demand.ts";
import { concat } from "../../../support/build-client-hello.ts";
import { demandTls, makeTapStand, recordHello, replayThroughTap } from "../../../support/tap-stand.ts";
import { listTlsFixtures, loadTlsFixture } from "../../../support/tls-fixture.ts";

const only = (demand: InsideDemand): InsideDemand => ({ ...demand, reports: true });
const sameSni = only(demandTls({ sni: "match" }));

describe("a demand that is only reported", () => {
  test("lets another server name through, byte for byte, and notes what it would have said", () => {
    const stand = makeTapStand({ demand: sameSni, target: "good.example:443" });
    const hello = recordHello("evil.example");
    stand.feed("client", hello.subarray(0, 20));
    expect(stand.up.length).toBe(0);
    stand.feed("client", hello.subarray(20));
    expect(stand.up).toEqual(Buffer.from(hello));
    expect([stand.failure, stand.facts.reported]).toEqual([
      undefined,
      { detail: "sni_mismatch", note: "found SNI evil.example" },
    ]);
    expect(stand.facts.tls?.sni).toBe("evil.example");
  });

  test("notes nothing of what meets it", () => {
    const stand = makeTapStand({ demand: sameSni, target: "good.example:443" });
    stand.feed("client", recordHello("good.example"));
    expect([stand.failure, stand.facts.reported]).toEqual([undefined, undefined]);
  });

  test("lets another protocol through, and what cannot be read", () => {
    const ssh = makeTapStand({ demand: sameSni });
    ssh.feed("client", "SSH-2.0-OpenSSH_9.2\r\n");
    expect([ssh.up.toString(), ssh.facts.reported?.detail, ssh.tap.done]).toEqual([
      "SSH-2.0-OpenSSH_9.2\r\n",
      "protocol_denied",
      true,
    ]);
    const broken = concat(recordHello("good.example").subarray(0, 60), new Uint8Array(400).fill(0xff));
    const stand = makeTapStand({ demand: sameSni });
    stand.feed("client", broken);
    expect([stand.up.length, stand.facts.reported?.detail, stand.failure]).toEqual([
      broken.length,
      "sni_mismatch",
      undefined,
    ]);
  });

  test("lets a client through that says too little in time, and one that ends", async () => {
    const stand = makeTapStand({ demand: sameSni, deadlineMs: 5 });
    stand.feed("client", recordHello("good.example").subarray(0, 30));
    await stand.moved;
    expect([stand.up.length, stand.facts.reported?.detail, stand.failure]).toEqual([
      30,
      "first_bytes_timeout",
      undefined,
    ]);
    const ended = makeTapStand({ demand: sameSni });
    ended.feed("client", recordHello("good.example").subarray(0, 30));
    ended.end();
    expect([ended.up.length, ended.facts.reported?.detail]).toEqual([30, "sni_mismatch"]);
  });

  test("changes no byte of any recorded connection, whatever it would have refused, whole and in pieces", () => {
    for (const name of listTlsFixtures()) {
      const { client, server } = loadTlsFixture(name);
      for (const piece of [Infinity, 7]) {
        const demand = only(demandTls({ sni: "match", minVersion: 0x0304, ja4: new Set(["none"]) }));
        const stand = replayThroughTap(name, { demand, target: "other.example:443" }, piece);
        expect([name, stand.failure, stand.tap.done]).toEqual([name, undefined, true]);
        expect(stand.up.equals(client) && stand.down.equals(server)).toBe(true);
        expect(stand.facts.reported).toBeDefined();
      }
    }
  });
});
