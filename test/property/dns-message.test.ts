import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  decodeDnsReply,
  type DnsQuestion,
  encodeDnsQuestion,
  TYPE_A,
  TYPE_AAAA,
} from "../../src/protocol/dns/message.ts";
import { NameServer } from "../support/name-server.ts";

const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const question: fc.Arbitrary<DnsQuestion> = fc.record({
  id: fc.nat(65_535),
  name: fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join(".")),
  type: fc.constantFrom(TYPE_A, TYPE_AAAA),
});

describe("decodeDnsReply()", () => {
  test("takes any bytes without throwing", () => {
    fc.assert(
      fc.property(question, fc.uint8Array({ maxLength: 300 }), (asked, noise) => {
        const read = decodeDnsReply(noise, asked);
        expect(["other", "reply"]).toContain(read.kind);
      }),
    );
  });

  test("takes any damage to an answer without throwing, and gives only addresses of the right length", async () => {
    using server = await NameServer.start("127.0.0.1");
    const addresses = ["192.0.2.1", "192.0.2.2"];
    server.zone = { "*": { a: { alias: "host.test", addresses }, aaaa: ["2001:db8::1"] } };
    fc.assert(
      fc.property(
        question,
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 8 }),
        fc.nat(200),
        (asked, damage, cut) => {
          const reply = server.answer(Buffer.from(encodeDnsQuestion(asked)), true);
          if (reply === undefined) throw new Error("The server is silent");
          expect(decodeDnsReply(reply, asked)).toMatchObject({ kind: "reply", rcode: 0 });
          for (const [at, value] of damage) if (at < reply.length) reply[at] = value;
          const read = decodeDnsReply(reply.subarray(0, Math.max(12, reply.length - cut)), asked);
          const length = asked.type === TYPE_A ? 4 : 16;
          if (read.kind === "reply") for (const address of read.addresses) expect(address).toHaveLength(length);
        },
      ),
    );
  });
});
