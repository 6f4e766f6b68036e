import { describe, expect } from "bun:test";
import { X509Certificate } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import type { DnsRecord } from "../../src/acme/acme-plan.ts";
import { certificatesAnswer } from "../../src/sidecar/certificates.ts";
import { needs } from "../support/needs.ts";
import { openPebble, type Pebble } from "../support/pebble.ts";
import { startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const testWithPebble = needs("pebble", "pebble-challtestsrv");

type Acme = Extract<
  NonNullable<Extract<NonNullable<Parameters<typeof startProxy>[0]>["listen"], readonly unknown[]>[number]>,
  { tls?: unknown }
>["tls"];

function startWith(pebble: Pebble, folder: string, acme: object, listen: object = {}): Promise<TestProxy> {
  const tls = { acme: { directory: pebble.directory, ca: "pebble.pem", ...acme } } as Acme;
  return startProxy(
    { listen: [{ port: 0, ...listen, tls }], state: { folder } },
    { files: { "pebble.pem": pebble.ca } },
  );
}

/** The certificate that a client is shown, which has to lead to that root. */
function look(port: number, servername: string, ca: string): Promise<X509Certificate | string> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, servername, ca }, () => {
      const shown = socket.getPeerX509Certificate();
      socket.destroy();
      resolve(shown ?? "no certificate");
    });
    socket.on("error", (error) => resolve(error.message));
  });
}

async function untilIssued(proxy: TestProxy, times = 1): Promise<void> {
  await waitFor(
    () => proxy.messages.filter((message) => message.startsWith("Got a certificate")).length >= times,
    () => `a certificate; told: ${proxy.messages.join("\n")}`,
  );
}

describe("a listener whose certificate Pebble issues", () => {
  testWithPebble("is shown by TLS-ALPN-01 over that listener, though nonces are refused", async () => {
    await using pebble = await openPebble({ badNonces: 30 });
    await using folder = await makeFolder();
    const names = ["proxy.example.org", "second.example.org"];
    await using proxy = await startWith(
      pebble,
      join(folder.path, "state"),
      { names, email: "ops@example.org" },
      { port: pebble.tlsPort },
    );
    await untilIssued(proxy);
    const shown = await look(proxy.port, "second.example.org", await pebble.readRoot());
    expect(shown).toBeInstanceOf(X509Certificate);
    expect((shown as X509Certificate).subjectAltName).toBe("DNS:proxy.example.org, DNS:second.example.org");
    const { certificates } = certificatesAnswer.parse(await (await proxy.ask("/certificates")).json());
    expect(certificates).toMatchObject([
      { names, warnings: [], renewal: { directory: pebble.directory, failures: 0 } },
    ]);
    const file = certificates[0]?.file ?? "";
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(file, "../.."))).mode & 0o777).toBe(0o700);
    expect((await stat(join(file, "../account.json"))).mode & 0o777).toBe(0o600);
    expect(await (await proxy.ask("/readyz")).text()).not.toContain("ertificate");
    expect(await proxy.metrics()).toContain('penstock_acme_orders_total{name="proxy.example.org",result="issued"} 1');
  });

  testWithPebble("is shown by HTTP-01 over a port that is open meanwhile, and kept for the next start", async () => {
    await using pebble = await openPebble();
    await using folder = await makeFolder();
    const state = join(folder.path, "state");
    const acme = { names: ["proxy.example.org"], challenge: "http-01", httpPort: pebble.httpPort };
    let serial = "";
    {
      await using proxy = await startWith(pebble, state, acme);
      await untilIssued(proxy);
      const shown = await look(proxy.port, "proxy.example.org", await pebble.readRoot());
      serial = (shown as X509Certificate).serialNumber;
      expect(await fetch(`http://127.0.0.1:${pebble.httpPort}/`).catch(() => "closed")).toBe("closed");
    }
    const root = await pebble.readRoot();
    await pebble[Symbol.asyncDispose]();
    // The authority is away: the certificate that is kept is used at once.
    await using again = await startWith(pebble, state, acme);
    expect(await look(again.port, "proxy.example.org", root)).toMatchObject({ serialNumber: serial });
    expect(again.messages.join("\n")).not.toContain("Ordering");
  });

  testWithPebble("is shown by HTTP-01 through the folder of a web server", async () => {
    await using pebble = await openPebble();
    await using folder = await makeFolder();
    const webroot = join(folder.path, "www");
    using server = Bun.serve({
      port: pebble.httpPort,
      hostname: "127.0.0.1",
      fetch: ({ url }) => new Response(Bun.file(join(webroot, new URL(url).pathname))),
    });
    expect(server.port).toBe(pebble.httpPort);
    const acme = { names: ["proxy.example.org"], challenge: "http-01", webroot };
    await using proxy = await startWith(pebble, join(folder.path, "state"), acme);
    await untilIssued(proxy);
    expect(Array.from(new Bun.Glob("**/*").scanSync({ cwd: webroot, dot: true }))).toEqual([]);
  });

  testWithPebble("is shown by DNS-01 with functions, for a wildcard and its parent", async () => {
    await using pebble = await openPebble();
    await using folder = await makeFolder();
    const calls: string[] = [];
    const change =
      (path: string) =>
      async ({ name, value }: DnsRecord) => {
        calls.push(`${path} ${name}`);
        // The test server has all values of a name at once, and takes all away.
        await pebble.manageNames(path, { host: `${name}.`, value });
      };
    const dns = { add: change("set-txt"), remove: change("clear-txt"), wait: "0" };
    const acme = { names: ["example.org", "*.example.org"], challenge: "dns-01", dns };
    await using proxy = await startWith(pebble, join(folder.path, "state"), acme);
    await untilIssued(proxy);
    expect(await look(proxy.port, "any.example.org", await pebble.readRoot())).toBeInstanceOf(X509Certificate);
    expect(calls).toEqual([
      ...Array.from({ length: 2 }, () => "set-txt _acme-challenge.example.org"),
      ...Array.from({ length: 2 }, () => "clear-txt _acme-challenge.example.org"),
    ]);
  });

  testWithPebble("needs no restart for other names, and no account that the server has forgotten", async () => {
    await using pebble = await openPebble();
    await using folder = await makeFolder();
    const state = join(folder.path, "state");
    const listen = { port: pebble.tlsPort };
    await using proxy = await startWith(pebble, state, { names: ["proxy.example.org"] }, listen);
    await untilIssued(proxy);
    await pebble.restart();
    const tls = { acme: { directory: pebble.directory, ca: "pebble.pem", names: ["new.example.org"] } };
    const outcome = await proxy.reload({ listen: [{ ...listen, tls }], state: { folder: state } });
    expect(outcome.kind).toBe("done");
    await untilIssued(proxy, 2);
    expect(await look(proxy.port, "new.example.org", await pebble.readRoot())).toBeInstanceOf(X509Certificate);
  });

  testWithPebble(
    "is shown by the listener that the authority reaches, for the names of another one as well",
    async () => {
      await using pebble = await openPebble();
      await using folder = await makeFolder();
      const order = (...names: readonly string[]) => ({
        acme: { directory: pebble.directory, ca: "pebble.pem", names: [...names] },
      });
      const listen = [
        { port: pebble.tlsPort, tls: order("proxy.example.org") },
        { port: 0, tls: order("other.example.org") },
      ];
      await using proxy = await startProxy(
        { listen, state: { folder: join(folder.path, "state") } },
        { files: { "pebble.pem": pebble.ca } },
      );
      await untilIssued(proxy, 2);
      const other = proxy.daemon.listeners[1]?.port ?? 0;
      const shown = await look(other, "other.example.org", await pebble.readRoot());
      expect((shown as X509Certificate).subjectAltName).toBe("DNS:other.example.org");
    },
  );

  testWithPebble("binds the account to one elsewhere", async () => {
    const hmac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    await using pebble = await openPebble({ externalKeys: { "kid-1": hmac } });
    await using folder = await makeFolder();
    const acme = { names: ["proxy.example.org"], eab: { kid: "kid-1", hmac } };
    await using proxy = await startWith(pebble, join(folder.path, "state"), acme, { port: pebble.tlsPort });
    await untilIssued(proxy);
    const config = await (await proxy.ask("/config")).text();
    expect(config).not.toContain(hmac);
    expect(proxy.messages.join("\n")).not.toContain(hmac);
  });
});
