import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSecureContext } from "node:tls";
import type { Certificate } from "../support/certificate.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { prepareSClient, type SClient } from "../support/s-client.ts";
import { startTlsStand, welcome } from "../support/tls-stand.ts";

let authority: CertificateAuthority;
let openssl: SClient;
let first: Certificate;
let second: Certificate;

beforeAll(async () => {
  authority = await makeAuthority();
  openssl = await prepareSClient();
  first = await authority.issue();
  second = await authority.issue();
});

afterAll(async () => {
  await openssl[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
});

const encrypted = (port = 0, host = "127.0.0.1") => ({ host, port, tls: { cert: "cert", key: "key" } });
const filesOf = ({ cert, key }: Certificate) => ({ files: { cert, key } });

async function reload(proxy: TestProxy, ...next: Parameters<TestProxy["reload"]>): Promise<void> {
  expect(await proxy.reload(...next)).toMatchObject({ kind: "done" });
}

// TLS 1.3 gives its tickets with the first answer (RFC 8446 §4.6.1).
describe.each(["-tls1_2", "-tls1_3"])("a client of a TLS listener (%s)", (version) => {
  const visit = async (port: number, ...args: string[]) =>
    (await openssl.run(port, [version, ...args], "HTTP/1.1 400", "no request\r\n\r\n")).session;

  test("resumes after a reload, also where only the port or another setting of the listener changed", async () => {
    const session = `reload${version}.pem`;
    await using proxy = await startProxy({ listen: [encrypted()] }, filesOf(first));
    expect(await visit(proxy.port, "-sess_out", session)).toBe("New");
    expect(await visit(proxy.port, "-sess_in", session)).toBe("Reused");
    await reload(proxy, { listen: [{ ...encrypted(), protocols: ["http"] }, encrypted(0, "::1")] });
    expect(await visit(proxy.port, "-sess_in", session)).toBe("Reused");
    await reload(proxy, { listen: [encrypted(0, "127.0.0.1"), encrypted(0, "127.0.0.2")] });
    expect(await visit(proxy.daemon.listeners[0]?.port ?? 0, "-sess_in", session)).toBe("Reused");
    await reload(proxy, { listen: [encrypted(0, "0.0.0.0")], open: true });
    expect(await visit(proxy.daemon.listeners[0]?.port ?? 0, "-sess_in", session)).toBe("Reused");
  });

  test("resumes at another listener with the same certificate", async () => {
    const session = `shared${version}.pem`;
    await using proxy = await startProxy({ listen: [encrypted(), encrypted()] }, filesOf(first));
    const [one, two] = proxy.daemon.listeners;
    expect(await visit(one?.port ?? 0, "-sess_out", session)).toBe("New");
    expect(await visit(two?.port ?? 0, "-sess_in", session)).toBe("Reused");
  });

  test("begins afresh with another certificate, with client certificates, and after a restart", async () => {
    const session = `fresh${version}.pem`;
    const before = { listen: [encrypted()] };
    await using proxy = await startProxy(before, filesOf(first));
    expect(await visit(proxy.port, "-sess_out", session)).toBe("New");
    await reload(
      proxy,
      { listen: [{ ...encrypted(), tls: { ...encrypted().tls, clientCa: "ca", clientCertificate: "optional" } }] },
      { cert: first.cert, key: first.key, ca: authority.cert },
    );
    expect(await visit(proxy.port, "-sess_in", session)).toBe("New");
    await reload(proxy, before, { cert: second.cert, key: second.key });
    expect(await visit(proxy.port, "-sess_in", session)).toBe("New");
    // Keys of tickets are the runtime's: see the last test.
    await using restarted = await startProxy(before, filesOf(first));
    expect(await visit(restarted.port, "-sess_in", session)).toBe("New");
  });
});

/**
 * When this fails, the runtime takes keys for session tickets: then they belong
 * into `state.folder`, so that clients resume after a restart and a hand-over.
 */
test("the runtime takes no keys for session tickets: two contexts with the same keys share no session", async () => {
  const { cert, key } = first;
  const ticketKeys = Buffer.alloc(48, 7);
  const makeContext = () => createSecureContext({ cert, key, ticketKeys, minVersion: "TLSv1.2" }).context;
  using stand = startTlsStand({
    certificates: [{ cert, key, names: [] }],
    serve: welcome,
  });
  const visit = async (...args: string[]) => (await openssl.run(stand.port, ["-tls1_2", ...args], "welcome")).session;
  const use = (native: unknown) => {
    stand.tls = { ...stand.tls, choose: () => ({ native }) };
  };
  const context = makeContext();
  use(context);
  expect(await visit("-sess_out", "keys.pem")).toBe("New");
  expect(await visit("-sess_in", "keys.pem")).toBe("Reused");
  use(makeContext());
  expect(await visit("-sess_in", "keys.pem")).toBe("New");
});
