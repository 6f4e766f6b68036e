import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { connectRaw, listenRaw, type RawPeer } from "../support/raw-peer.ts";
import { prepareSClient, type SClient } from "../support/s-client.ts";
import { connectTls, makeServerTls, startTlsStand, type TlsStand, welcome } from "../support/tls-stand.ts";

let authority: CertificateAuthority;
let openssl: SClient;
let stand: TlsStand;
let welcoming: TlsStand;
let impatient: TlsStand;
/** The first flight of a real client. */
let hello: Buffer;

beforeAll(async () => {
  [authority, openssl] = await Promise.all([makeAuthority(), prepareSClient()]);
  const plain = { ...(await authority.issue()), names: ["localhost"] };
  const corp = { ...(await authority.issue({ names: ["DNS:*.corp.test"] })), names: ["*.corp.test"] };
  stand = startTlsStand({ certificates: [plain, corp] });
  welcoming = startTlsStand({ certificates: [plain], serve: welcome });
  impatient = startTlsStand({ certificates: [plain], deadlineMs: 150 });
  hello = await recordHello();
});

afterAll(async () => {
  stand[Symbol.dispose]();
  welcoming[Symbol.dispose]();
  impatient[Symbol.dispose]();
  await Promise.all([authority[Symbol.asyncDispose](), openssl[Symbol.asyncDispose]()]);
});

async function recordHello(): Promise<Buffer> {
  using server = listenRaw();
  void connectTls(server.port, authority.cert).catch(() => {});
  const peer = await server.next();
  await peer.until(({ received }) => received.length > 5 && received.length >= 5 + received.readUInt16BE(3), "a hello");
  return peer.received;
}

/** Connects without TLS, lets `act` speak, and gives what became of the handshake. */
async function speak(to: TlsStand, act: (peer: RawPeer) => void | Promise<void>) {
  const peer = await connectRaw(to.port);
  const { localPort } = peer.socket;
  await act(peer);
  const handshake = await to.handshake(localPort);
  return { peer, handshake };
}

async function shakeHands(args: readonly string[]) {
  const before = welcoming.handshakes.length;
  const run = await openssl.run(welcoming.port, args, "welcome");
  await welcoming.untilOver(before + 1);
  return { run, handshake: welcoming.handshakes[before] };
}

describe("the handshake of a TLS listener", () => {
  test("shows the certificate for the name that the client asks for, else the first one", async () => {
    const peer = await connectTls(stand.port, authority.cert, "any.corp.test");
    const handshake = await stand.handshake(peer.socket.localPort);
    expect(handshake).toMatchObject({ ok: true, serverName: "any.corp.test" });
    await expect(connectTls(stand.port, authority.cert, "other.test")).rejects.toThrow(/ALTNAME|altnames/);
    const plain = await connectTls(stand.port, authority.cert, "localhost");
    peer.reset();
    plain.reset();
  });

  for (const version of ["-tls1_2", "-tls1_3"]) {
    test(`resumes a session by its ticket (${version})`, async () => {
      const first = await shakeHands([version, "-sess_out", `session${version}.pem`]);
      const second = await shakeHands([version, "-sess_in", `session${version}.pem`]);
      expect([first.run.session, second.run.session]).toEqual(["New", "Reused"]);
      expect(second.handshake).toMatchObject({ ok: true });
    });
  }

  test("begins a new session when the certificates were replaced since", async () => {
    const before = welcoming.tls;
    await shakeHands(["-sess_out", "old.pem"]);
    welcoming.tls = makeServerTls({ certificates: [{ ...(await authority.issue()), names: [] }] });
    const { run } = await shakeHands(["-sess_in", "old.pem"]);
    expect(run.session).toBe("New");
    welcoming.tls = before;
  });

  test("agrees on http/1.1 among other protocols, and on nothing with a client that offers none", async () => {
    expect((await shakeHands(["-alpn", "h2,http/1.1"])).run.alpn).toBe("http/1.1");
    expect((await shakeHands([])).run).toMatchObject({ session: "New", alpn: undefined });
  });

  test("refuses a client that speaks only other protocols, an old version, or no cipher of ours", async () => {
    const weak = ["-cipher", "DEFAULT@SECLEVEL=0"];
    const told = async (args: readonly string[]) => {
      const { run, handshake } = await shakeHands(args);
      return [run.alert?.trim(), handshake?.ok === false && handshake.kind];
    };
    expect(await told(["-alpn", "h2"])).toEqual(["no application protocol", "protocol"]);
    expect(await told(["-tls1_1", ...weak])).toEqual(["protocol version", "protocol"]);
    expect(await told(["-tls1", ...weak])).toEqual(["protocol version", "protocol"]);
    for (const cipher of ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA"])
      expect(await told(["-tls1_2", "-cipher", cipher])).toEqual(["handshake failure", "protocol"]);
  });

  test("notes the alert of a client that does not trust the certificate", async () => {
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const { handshake } = await shakeHands(["-verify_return_error", "-verify", "2", version]);
      expect(handshake).toMatchObject({ ok: false, kind: "alert", note: "unknown_ca" });
    }
  });

  test("takes a ClientHello byte by byte", async () => {
    const { peer, handshake } = await speak(impatient, async (client) => {
      for (const [at, byte] of hello.entries()) {
        client.write(Uint8Array.of(byte));
        if (at % 32 === 0) await Bun.sleep(0);
      }
      await client.untilReceived(64);
    });
    // The server answered: the library has got all of it. The client says no more.
    expect(peer.received[0]).toBe(0x16);
    expect(handshake).toMatchObject({ ok: false, kind: "timeout" });
  });

  test("closes a client that is silent from the beginning, in the middle of its hello, or after it", async () => {
    for (const bytes of [0, 1, 100, hello.length]) {
      const { peer, handshake } = await speak(impatient, (client) => client.write(hello.subarray(0, bytes)));
      expect(handshake).toMatchObject({ ok: false, kind: bytes === 0 ? "silent" : "timeout" });
      expect("conn" in handshake).toBe(false);
      await peer.until(({ closed }) => closed, "the end of the connection");
    }
  });

  test("notices a client that leaves, with FIN or with RST, at any point", async () => {
    for (const bytes of [0, 1, 100, hello.length]) {
      for (const leave of ["finish", "reset"] as const) {
        const { peer, handshake } = await speak(stand, (client) => {
          client.write(hello.subarray(0, bytes));
          client[leave]();
        });
        expect(handshake).toMatchObject({ ok: false, kind: bytes === 0 ? "silent" : "gone" });
        await peer.until(({ closed }) => closed, "the end of the connection");
      }
    }
  });

  test("leaves a client that speaks HTTP without TLS to be told so in clear", async () => {
    for (const request of [
      "CONNECT a.test:443 HTTP/1.1\r\n",
      "GET / HTTP/1.1\r\n",
      "GET http://a.test/ HTTP/1.1\r\n",
    ]) {
      const { peer, handshake } = await speak(stand, (client) => client.write(request));
      if (handshake.ok || handshake.conn === undefined) throw new Error("There is no connection to answer on");
      expect(handshake.kind).toBe("plain_http");
      expect(handshake.conn.encrypted).toBe(false);
      handshake.conn.write(Buffer.from("HTTP/1.1 400 "));
      handshake.conn.close();
      await peer.untilEnd();
      expect(peer.text).toBe("HTTP/1.1 400 ");
    }
  });

  test("answers what is no TLS with an alert and closes", async () => {
    const broken = Buffer.from(hello);
    broken[43] = 0xff;
    for (const bytes of [Uint8Array.of(5, 1, 0), Buffer.from("\x15\x03\x01\x00\x02\x02\x28", "latin1"), broken]) {
      const { peer, handshake } = await speak(stand, (client) => client.write(bytes));
      expect(handshake).toMatchObject({ ok: false, kind: "protocol" });
      await peer.untilEnd();
      expect([...peer.received]).toEqual([0x15, 3, 3, 0, 2, 2, 50]);
    }
  });

  test("ends with an alert when what follows the hello is no TLS", async () => {
    const { peer, handshake } = await speak(stand, (client) =>
      client.write(Buffer.concat([hello, Buffer.from("GET / HTTP/1.1\r\n\r\n")])),
    );
    expect(handshake).toMatchObject({ ok: false, kind: "protocol", note: "wrong_version_number" });
    await peer.untilEnd();
  });

  test("refuses a ClientHello larger than 16 KiB before all of it is there", async () => {
    const { handshake } = await speak(stand, (client) => {
      client.write(Uint8Array.of(0x16, 3, 1, 0x40, 0, 1, 0, 0x40, 1));
    });
    expect(handshake).toMatchObject({ ok: false, kind: "protocol", note: "the ClientHello is too large" });
  });

  test("delivers what the client sends in one flight with the end of the handshake", async () => {
    const peer = await connectTls(stand.port, authority.cert);
    peer.write("CONNECT a.test:443 HTTP/1.1\r\n\r\n");
    const handshake = await stand.handshake(peer.socket.localPort);
    if (!handshake.ok) throw new Error(handshake.note);
    const { conn } = handshake;
    expect(conn.encrypted).toBe(true);
    expect(conn.fd).toBe(-1);
    expect([conn.remoteAddress, conn.remotePort]).toEqual(["127.0.0.1", peer.socket.localPort]);
    const { promise, resolve } = Promise.withResolvers<string>();
    conn.attach({
      data: (chunk) => resolve(Buffer.from(chunk).toString("latin1")),
      end: () => {},
      drain: () => {},
      close: () => {},
    });
    expect(await promise).toBe("CONNECT a.test:443 HTTP/1.1\r\n\r\n");
    conn.reset();
    await peer.untilEnd();
    expect(peer.end).toBe("reset");
  });
});
