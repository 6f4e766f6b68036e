import { afterAll, beforeAll, describe, expect } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import { makeAuthority } from "../support/certificate-authority.ts";
import { type ServingExecutable, startExecutable } from "../support/executable.ts";
import { isInstalled, needs } from "../support/needs.ts";
import { type PageOrigin, pageParts, PART_BYTES, startPageOrigin } from "../support/page-origin.ts";
import { expectProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

let stack: AsyncDisposableStack;
let proxy: ServingExecutable;
let plain: PageOrigin;
let secure: PageOrigin;
/** Hashes of the keys that the browser is to trust: of the origin, and of the proxy's TLS listener. */
let trusted: string;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  if (!isInstalled("openssl")) return;
  await using authority = await makeAuthority();
  const [ofOrigin, ofProxy] = await Promise.all([authority.issue(), authority.issue()]);
  trusted = [ofOrigin, ofProxy].map(({ cert }) => hashKey(cert)).join(",");
  plain = stack.use(startPageOrigin());
  secure = stack.use(startPageOrigin(ofOrigin));
  const folder = stack.use(
    await makeFolder({
      "cert.pem": ofProxy.cert,
      "key.pem": ofProxy.key,
      "proxy.config.json": {
        listen: [
          { host: "127.0.0.1", port: 0 },
          { host: "127.0.0.1", port: 0, tls: { cert: "cert.pem", key: "key.pem" } },
        ],
        rules: [{ name: "loopback", to: ["127.0.0.1", "localhost"], allowPrivate: true }],
        // Whatever else a browser wants to know of the world.
        default: "deny",
      },
    }),
  );
  proxy = stack.use(await startExecutable({ cwd: folder.path }));
});
afterAll(() => stack.disposeAsync());

const schemes = [
  { scheme: "http", listener: 0, forwards: true },
  { scheme: "https", listener: 1, forwards: true },
  { scheme: "socks5", listener: 0, forwards: false },
] as const;

describe.each(schemes)("headless Chromium with a proxy at $scheme://", ({ scheme, listener, forwards }) => {
  needs("chromium", "openssl")(
    "loads a page with parts from two origins, plain and TLS, all through Penstock",
    async () => {
      const before = proxy.records.length;
      const asked = { plain: plain.requests.length, secure: secure.requests.length };
      const port = await waitFor(() => proxy.ports[listener], "the listener");
      const here = `localhost:${plain.port}`;
      const there = `127.0.0.1:${secure.port}`;

      const dom = await browse(
        `${scheme}://127.0.0.1:${port}`,
        `http://${here}/page.html?other=${encodeURIComponent(`https://${there}`)}`,
      );
      const [, report = "nothing"] = /<pre id="report">(.*?)<\/pre>/.exec(dom) ?? [];
      const whole = ["own", "other"].flatMap((whose) =>
        Object.entries(pageParts).map(([part, outcome]) => [`${whose} ${part}`, outcome]),
      );
      expect(JSON.parse(report)).toEqual(Object.fromEntries(whole));

      const ofPlain = plain.requests.slice(asked.plain);
      const ofSecure = secure.requests.slice(asked.secure);
      const parts = Object.keys(pageParts).length;
      // The page itself, its report, and the image that comes last.
      expect([ofPlain.length, ofSecure.length]).toEqual([parts + 3, parts]);

      const list = (target: string) => proxy.records.slice(before).filter((record) => record["target"] === target);
      const sum = (records: Record<string, unknown>[]) =>
        records.reduce((bytes, record) => bytes + Number(record["bytes_down"]), 0);
      const secureTunnels = await waitFor(() => {
        const records = list(there);
        return sum(records) >= PART_BYTES && records;
      }, "the records of the tunnels to the origin with TLS");
      const tunnel = {
        protocol: forwards ? "http" : "socks5",
        method: "CONNECT",
        stage: "tunnel",
        listener: `127.0.0.1:${port}`,
      };
      for (const record of secureTunnels) expect(record).toMatchObject({ ...tunnel, status: 200 });
      expect(ofSecure.filter(({ via }) => via !== null)).toEqual([]);

      if (!forwards) {
        const tunnels = await waitFor(() => {
          const records = list(here);
          return sum(records) >= PART_BYTES && records;
        }, "the records of the tunnels to the plain origin");
        for (const record of tunnels) expect(record).toMatchObject({ ...tunnel, status: 200 });
        return;
      }
      // Each is forwarded; only for its WebSocket the browser asks for a tunnel.
      const records = await waitFor(() => {
        const found = list(here);
        return found.length >= ofPlain.length && found;
      }, "the records of the requests to the plain origin");
      const forwarded = ofPlain.filter(({ path }) => path !== "/websocket");
      expect(forwarded.filter(({ via }) => via === null)).toEqual([]);
      expect(
        records
          .filter(({ scheme: of }) => of === "http")
          .map(describeRecord)
          .sort(),
      ).toEqual(forwarded.map(({ method, path }) => `${method} ${path === "/report" ? 204 : 200}`).sort());
      expect(records.filter(({ method }) => method === "CONNECT")).toEqual([expect.objectContaining(tunnel)]);
    },
  );
});

function describeRecord({ method, status }: Record<string, unknown>): string {
  return `${String(method)} ${String(status)}`;
}

/** The page as it is when its scripts have run and everything has come. */
async function browse(proxyUrl: string, url: string): Promise<string> {
  await using home = await makeFolder();
  return await expectProgram(
    [
      ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"],
      ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
      [`--user-data-dir=${home.path}/profile`, `--ignore-certificate-errors-spki-list=${trusted}`],
      // Also what is on loopback goes through the proxy, and no name but the proxy's own is looked up here.
      [`--proxy-server=${proxyUrl}`, "--proxy-bypass-list=<-loopback>"],
      ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
      ["--dump-dom", url],
    ],
    { env: { HOME: home.path } },
  );
}

/** What `--ignore-certificate-errors-spki-list` takes. */
function hashKey(cert: string): string {
  const key = new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}
