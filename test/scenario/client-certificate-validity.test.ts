import { afterAll, afterEach, beforeAll, describe, expect, setSystemTime, test } from "bun:test";
import type { Certificate } from "../support/certificate.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { type HttpOrigin, serveHttp } from "../support/http-origin.ts";
import { allowLoopback, startProxy } from "../support/proxy.ts";
import type { RawPeer } from "../support/raw-peer.ts";
import { prepareSClient, type SClient } from "../support/s-client.ts";
import { connectTls, makeServerTls, startTlsStand, welcome } from "../support/tls-stand.ts";

/** The certificates of `makeAuthority` are valid until the beginning of 2048. */
const AFTER_ALL = new Date("2049-01-01T00:00:00Z");

let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let server: Certificate;
let alice: Certificate;
let openssl: SClient;
let origin: HttpOrigin;

beforeAll(async () => {
  [authority, stranger, openssl] = await Promise.all([makeAuthority(), makeAuthority(), prepareSClient()]);
  server = await authority.issue();
  alice = await authority.issue({ names: ["email:alice@corp.test"] });
  await openssl.write({ "alice.pem": alice.cert, "alice.key": alice.key });
  origin = serveHttp(() => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
});

afterAll(async () => {
  origin[Symbol.dispose]();
  await Promise.all([
    authority[Symbol.asyncDispose](),
    stranger[Symbol.asyncDispose](),
    openssl[Symbol.asyncDispose](),
  ]);
});

afterEach(() => {
  setSystemTime();
});

function startTlsProxy(clientCertificate: "required" | "optional") {
  const tls = { cert: "cert.pem", key: "key.pem", clientCa: "ca.pem", clientCertificate };
  const files = { "cert.pem": server.cert, "key.pem": server.key, "ca.pem": authority.cert };
  return startProxy({ listen: [{ port: 0, tls }], rules: [allowLoopback] }, { files });
}

/** Asks for the origin over a connection that is to be kept, and gives the status. */
async function ask(peer: RawPeer): Promise<string> {
  peer.take();
  peer.write(`GET ${origin.uri()} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`);
  await peer.untilText("\r\n\r\n");
  return peer.text.slice(9, 12);
}

for (const clientCertificate of ["required", "optional"] as const)
  describe(`a kept connection where client certificates are ${clientCertificate}`, () => {
    // The first request takes the whole path, those after it the short one.
    for (const before of [1, 3])
      test(`ends with the validity of its certificate, after ${before} requests`, async () => {
        await using proxy = await startTlsProxy(clientCertificate);
        using peer = await connectTls(proxy.port, authority.cert, "localhost", alice);
        for (let request = 0; request < before; request++) expect(await ask(peer)).toBe("200");
        setSystemTime(AFTER_ALL);
        expect(await ask(peer)).toBe("403");
        await peer.untilEnd();
        expect(peer.text).toContain("certificate_required");
        expect(peer.text).toContain("expired at 2048-01-01 00:00:00 UTC");
        expect(await proxy.record(before)).toMatchObject({ status: 403, detail: "certificate_required" });
        expect(origin.heads.length).toBeGreaterThan(0);
      });

    test("ends when its authority is trusted no more, and not when another certificate is shown to clients", async () => {
      await using proxy = await startTlsProxy(clientCertificate);
      const replace = (ca: readonly string[], shown: Certificate): void => {
        const first = { ...shown, names: ["localhost"], file: "cert.pem", expiresAt: AFTER_ALL.getTime() };
        const plan = { certificates: [first] as const, clients: { ca, required: clientCertificate === "required" } };
        expect(proxy.daemon.tls(0)?.replace(plan)).toEqual({ ok: true });
      };
      using peer = await connectTls(proxy.port, authority.cert, "localhost", alice);
      expect(await ask(peer)).toBe("200");
      replace([authority.cert], await authority.issue());
      expect(await ask(peer)).toBe("200");
      replace([`${stranger.cert}${authority.cert}`], server);
      expect(await ask(peer)).toBe("200");
      replace([stranger.cert], server);
      expect(await ask(peer)).toBe("403");
      await peer.untilEnd();
      expect(peer.text).toContain("is not signed by an authority that is trusted now");
    });
  });

test("a kept connection without a certificate goes on where none is required", async () => {
  await using proxy = await startTlsProxy("optional");
  using peer = await connectTls(proxy.port, authority.cert);
  expect(await ask(peer)).toBe("200");
  setSystemTime(AFTER_ALL);
  expect(await ask(peer)).toBe("200");
});

for (const version of ["-tls1_2", "-tls1_3"])
  describe(`a session that is resumed (${version})`, () => {
    const shakeHands = async (stand: ReturnType<typeof startTlsStand>, ...args: string[]) => {
      const before = stand.handshakes.length;
      const run = await openssl.run(stand.port, [version, ...args], "we");
      await stand.untilOver(before + 1);
      return { session: run.session, handshake: stand.handshakes[before] };
    };
    const start = () =>
      startTlsStand({
        certificates: [{ ...server, names: ["localhost"] }],
        clients: { ca: [authority.cert], required: true },
        serve: welcome,
      });
    const shown = ["-cert", "alice.pem", "-key", "alice.key"];

    test("is refused once the certificate of the client has expired", async () => {
      using stand = start();
      const session = `expired${version}.pem`;
      expect((await shakeHands(stand, ...shown, "-sess_out", session)).handshake).toMatchObject({ ok: true });
      const again = await shakeHands(stand, "-sess_in", session);
      expect(again).toMatchObject({
        session: "Reused",
        handshake: { ok: true, certificate: { user: "alice@corp.test" } },
      });
      setSystemTime(AFTER_ALL);
      const late = await shakeHands(stand, "-sess_in", session);
      expect(late).toMatchObject({
        session: "Reused",
        handshake: {
          ok: false,
          kind: "certificate",
          note: "the client's certificate expired at 2048-01-01 00:00:00 UTC",
        },
      });
    });

    test("is refused once the authority of the client is trusted no more", async () => {
      using stand = start();
      const session = `removed${version}.pem`;
      expect((await shakeHands(stand, ...shown, "-sess_out", session)).handshake).toMatchObject({ ok: true });
      stand.tls = makeServerTls({
        certificates: [{ ...server, names: ["localhost"] }],
        clients: { ca: [stranger.cert], required: true },
      });
      const late = await shakeHands(stand, ...shown, "-sess_in", session);
      expect(late.handshake).toMatchObject({ ok: false, kind: "certificate" });
    });
  });
