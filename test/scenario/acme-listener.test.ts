import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AcmeFiles } from "../../src/acme/acme-files.ts";
import { certificatesAnswer } from "../../src/sidecar/certificates.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { prepareSClient, type SClient } from "../support/s-client.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

let authority: CertificateAuthority;
let openssl: SClient;
let directory: string;

beforeAll(async () => {
  [authority, openssl] = await Promise.all([makeAuthority(), prepareSClient()]);
  // Nobody listens there.
  directory = `https://127.0.0.1:${await reserveClosedPort()}/directory`;
});

afterAll(async () => {
  await Promise.all([authority[Symbol.asyncDispose](), openssl[Symbol.asyncDispose]()]);
});

const names = ["proxy.example.org"];

function start(folder: TemporaryFolder, ordered: readonly string[] = names): Promise<TestProxy> {
  const listen = [{ port: 0, tls: { acme: { names: [...ordered], directory } } }];
  return startProxy({ listen, state: { folder: join(folder.path, "state") } });
}

/** Keeps a certificate as an order would. */
async function keep(folder: TemporaryFolder): Promise<void> {
  const files = new AcmeFiles(join(folder.path, "state"), { directory, names, profile: undefined, ca: undefined });
  await mkdir(dirname(files.certificate), { recursive: true, mode: 0o700 });
  const { cert, key } = await authority.issue({ names: ["DNS:proxy.example.org"] });
  await files.writeCertificate({ cert: cert + authority.cert, key });
}

describe("a listener without its first certificate", () => {
  test("refuses handshakes with an alert, says why in log and readiness, and shows no certificate of its own making", async () => {
    await using folder = await makeFolder();
    await using proxy = await start(folder);
    const { alert, subject } = await openssl.run(proxy.port, ["-servername", "proxy.example.org"]);
    expect(alert).toContain("internal error");
    expect(subject).toBeUndefined();
    expect(await proxy.record()).toMatchObject({
      detail: "client_tls_failed",
      note: "the listener has no certificate yet",
    });
    await waitFor(
      () => proxy.messages.some((message) => message.startsWith("Cannot get a certificate")),
      "the failure",
    );
    const why = `Cannot get a certificate for proxy.example.org: the server ${new URL(directory).host} cannot be reached: ECONNREFUSED.`;
    expect(proxy.messages.join("\n")).toContain(`${why} There is none yet, so that no client can connect over TLS.`);
    expect(await (await proxy.ask("/readyz")).text()).toContain(why);
    expect(await (await proxy.ask("/status")).text()).toContain("proxy.example.org");
    expect(await proxy.metrics()).toContain('penstock_acme_orders_total{name="proxy.example.org",result="failed"} 1');
    expect(await proxy.metrics()).not.toContain("Infinity");
  });
});

describe("a listener whose certificate is kept", () => {
  test("uses it at once, though the authority is away", async () => {
    await using folder = await makeFolder();
    await keep(folder);
    await using proxy = await start(folder);
    const { subject } = await openssl.run(proxy.port, ["-servername", "proxy.example.org"]);
    expect(subject).toContain("test");
    expect(await (await proxy.ask("/readyz")).text()).not.toContain("ertificate");
  });

  test("shows it to those who ask for acme-tls/1 while no authority has to look, as TLS without a common protocol", async () => {
    await using folder = await makeFolder();
    await keep(folder);
    await using proxy = await start(folder);
    const asked = await openssl.run(proxy.port, ["-servername", "proxy.example.org", "-alpn", "acme-tls/1"]);
    expect(asked.alpn).not.toBe("acme-tls/1");
  });

  test("uses it when it is started with one more name, until there is one for both", async () => {
    await using folder = await makeFolder();
    await keep(folder);
    await using proxy = await start(folder, ["new.example.org", ...names]);
    const { subject } = await openssl.run(proxy.port, ["-servername", "proxy.example.org"]);
    expect(subject).toContain("test");
    const { certificates } = certificatesAnswer.parse(await (await proxy.ask("/certificates")).json());
    expect(certificates).toMatchObject([{ names, warnings: [] }]);
    await waitFor(
      () => proxy.messages.some((message) => message.includes("Another certificate is in use meanwhile.")),
      "the failure",
    );
  });

  test("does not use it for names of which it has none", async () => {
    await using folder = await makeFolder();
    await keep(folder);
    await using proxy = await start(folder, ["new.example.org"]);
    const { alert } = await openssl.run(proxy.port, ["-servername", "proxy.example.org"]);
    expect(alert).toContain("internal error");
  });

  test("keeps it over a reload that adds a name, until there is one for both", async () => {
    await using folder = await makeFolder();
    await keep(folder);
    await using proxy = await start(folder);
    const acme = { names: [...names, "new.example.org"], directory };
    const outcome = await proxy.reload({
      listen: [{ port: 0, tls: { acme } }],
      state: { folder: join(folder.path, "state") },
    });
    expect(outcome.kind).toBe("done");
    const { subject } = await openssl.run(proxy.port, ["-servername", "proxy.example.org"]);
    expect(subject).toContain("test");
  });
});
