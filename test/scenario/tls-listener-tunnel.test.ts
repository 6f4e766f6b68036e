import { afterAll, beforeAll } from "bun:test";
import { relay } from "../../src/proxy/flow/relay.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { connectTls, startTlsStand, type TlsStand } from "../support/tls-stand.ts";
import { type ConnPair, describeTunnelContract } from "./tunnel-contract.ts";

let authority: CertificateAuthority;
let stand: TlsStand;

beforeAll(async () => {
  authority = await makeAuthority();
  stand = startTlsStand({ certificates: [{ ...(await authority.issue()), names: ["localhost"] }] });
});

afterAll(async () => {
  stand[Symbol.dispose]();
  await authority[Symbol.asyncDispose]();
});

describeTunnelContract("relay, from a client that speaks TLS", relay, {
  encrypted: true,
  async client(): Promise<ConnPair> {
    const peer = await connectTls(stand.port, authority.cert);
    const handshake = await stand.handshake(peer.socket.localPort);
    if (!handshake.ok) throw new Error(handshake.note);
    return { peer, conn: handshake.conn };
  },
});
