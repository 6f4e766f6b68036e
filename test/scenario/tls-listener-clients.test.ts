import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { prepareSClient, type SClient } from "../support/s-client.ts";
import { startTlsStand, type TlsStand, welcome } from "../support/tls-stand.ts";

let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let openssl: SClient;
let required: TlsStand;
let optional: TlsStand;

beforeAll(async () => {
  [authority, stranger, openssl] = await Promise.all([makeAuthority(), makeAuthority(), prepareSClient()]);
  const certificates = [{ ...(await authority.issue()), names: ["localhost"] }] as const;
  const ca = [authority.cert];
  required = startTlsStand({ certificates, clients: { ca, required: true }, serve: welcome });
  optional = startTlsStand({ certificates, clients: { ca, required: false }, serve: welcome });
  const write = async (name: string, from: CertificateAuthority, ...leaf: Parameters<typeof from.issue>) => {
    const { cert, key } = await from.issue(...leaf);
    await openssl.write({ [`${name}.pem`]: cert, [`${name}.key`]: key });
  };
  await write("alice", authority, { names: ["DNS:alice.corp.test", "email:alice@corp.test"] });
  await write("nameless", authority, { names: ["IP:192.0.2.1"] });
  await write("expired", authority, { names: ["DNS:old.corp.test"], to: "20210101000000Z" });
  await write("mallory", stranger, { names: ["email:alice@corp.test"] });
});

afterAll(async () => {
  required[Symbol.dispose]();
  optional[Symbol.dispose]();
  await Promise.all([
    authority[Symbol.asyncDispose](),
    stranger[Symbol.asyncDispose](),
    openssl[Symbol.asyncDispose](),
  ]);
});

async function shakeHands(stand: TlsStand, who: string | undefined, ...args: string[]) {
  const before = stand.handshakes.length;
  const shown = who === undefined ? [] : ["-cert", `${who}.pem`, "-key", `${who}.key`];
  const run = await openssl.run(stand.port, [...shown, ...args], "welcome");
  await stand.untilOver(before + 1);
  const handshake = stand.handshakes[before];
  if (handshake === undefined) throw new Error("The handshake left no trace");
  return { run, handshake };
}

for (const version of ["-tls1_2", "-tls1_3"]) {
  describe(`client certificates (${version})`, () => {
    test("tell who the client is", async () => {
      for (const stand of [required, optional]) {
        const { handshake } = await shakeHands(stand, "alice", version);
        expect(handshake).toMatchObject({ ok: true, certificate: { user: "alice@corp.test" } });
      }
    });

    test("tell who the client is in a resumed session too", async () => {
      const session = `session${version}.pem`;
      await shakeHands(required, "alice", version, "-sess_out", session);
      const { run, handshake } = await shakeHands(required, undefined, version, "-sess_in", session);
      expect(run.session).toBe("Reused");
      expect(handshake).toMatchObject({ ok: true, certificate: { user: "alice@corp.test" } });
    });

    test("may be left out only where they are optional", async () => {
      const without = await shakeHands(required, undefined, version);
      expect(without.handshake).toMatchObject({
        ok: false,
        kind: "certificate",
        note: "the client showed no certificate",
      });
      expect(without.run.text).toContain("go away");
      const { handshake } = await shakeHands(optional, undefined, version);
      expect(handshake.ok && [handshake.certificate]).toEqual([undefined]);
    });

    test("of another authority, or out of date, are refused even where they are optional", async () => {
      for (const stand of [required, optional]) {
        for (const [who, why] of [
          ["mallory", /certificate/],
          ["expired", /expired/],
        ] as const) {
          const { run, handshake } = await shakeHands(stand, who, version);
          expect(handshake).toMatchObject({ ok: false, kind: "certificate", note: expect.stringMatching(why) });
          expect(run.text).toContain("go away");
        }
      }
    });

    test("that are not accepted are not accepted in a resumed session either", async () => {
      const session = `bad${version}.pem`;
      await openssl.write({ [session]: "" });
      for (const stand of [required, optional]) {
        await shakeHands(stand, "mallory", version, "-sess_out", session);
        const { handshake } = await shakeHands(stand, undefined, version, "-sess_in", session);
        expect(handshake.ok && handshake.certificate?.user).not.toBe("alice@corp.test");
        if (stand === required) expect(handshake).toMatchObject({ ok: false, kind: "certificate" });
      }
    });

    test("without a name that can be used name the client by its common name", async () => {
      const { handshake } = await shakeHands(required, "nameless", version);
      // The test's authority gives every leaf the common name "test".
      expect(handshake).toMatchObject({ ok: true, certificate: { user: "test" } });
    });
  });
}
