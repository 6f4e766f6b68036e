import { afterAll, beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { makeCertificate } from "../support/certificate.ts";
import { type ForwardStand, PASSWORD, startForwardStand } from "../support/forward-stand.ts";
import { isInstalled, needs, python } from "../support/needs.ts";
import { HELLO } from "../support/origin-pair.ts";
import { type Ran, runProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { holdClosedPort } from "../support/unreachable.ts";

let stack: AsyncDisposableStack;
let stand: ForwardStand;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  if (isInstalled("openssl")) stand = stack.use(await startForwardStand());
});
afterAll(() => stack.disposeAsync());

function runPython(name: string, proxyUrl: string, ...urls: string[]): Promise<Ran> {
  const script = join(import.meta.dir, "programs/forward.py");
  // requests does not look at the certificate of a proxy for plain HTTP, which urllib3 warns of.
  const env = { PYTHONWARNINGS: "ignore" };
  return runProgram([python, script, name, proxyUrl, stand.origins.caFile, ...urls], { env });
}

/** What is told of requests that were forwarded one after another on one connection. */
function summarise(records: Record<string, unknown>[]) {
  return {
    connections: new Set(records.map(({ client }) => client)).size,
    requests: records.map(({ method, scheme, status }) => `${String(method)} ${String(scheme)} ${String(status)}`),
  };
}

describe("urllib3 with use_forwarding_for_https", () => {
  for (const user of ["direct", "chained"] as const)
    needs("python3-urllib3", "openssl")(`has an HTTPS proxy speak TLS to the origin, ${user}`, async () => {
      const before = stand.proxy.records.length;
      const asked = stand.origins.requests.length;
      const { secure } = stand.origins;
      const urls = [`${secure}/hello/1`, `${secure}/echo`, `${secure}/hello/2`];
      const ran = await runPython("urllib3", stand.proxyUrl("https", user), ...urls);
      expect(ran).toEqual({ code: 0, stdout: `200 ${HELLO}200 echoed\n200 ${HELLO}`, stderr: "" });
      const records = await stand.recordsSince(before, 3);
      expect(summarise(records)).toEqual({
        connections: 1,
        requests: ["GET https 200", "POST https 200", "GET https 200"],
      });
      for (const record of records) expect(record).toMatchObject({ user, target: new URL(secure).host });
      const requests = stand.origins.requests.slice(asked);
      expect(requests.map(({ url }) => url)).toEqual(urls);
      for (const { fields } of requests) {
        expect(fields["via"]).toStartWith("1.1 penstock-");
        expect(fields).not.toHaveProperty("proxy-authorization");
      }
    });

  needs("python3-urllib3", "openssl")(
    "is told by a 502 of an origin that the proxy does not trust, and of one that is not there",
    async () => {
      using stranger = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        tls: await makeCertificate(),
        fetch: () => new Response("never asked"),
      });
      using closed = await holdClosedPort();
      const before = stand.proxy.records.length;
      const urls = [`https://127.0.0.1:${stranger.port}/`, `https://127.0.0.1:${closed.port}/`];
      const ran = await runPython(
        "urllib3",
        stand.proxyUrl("https", "direct"),
        ...urls,
        `${stand.origins.secure}/hello`,
      );
      expect({ code: ran.code, stderr: ran.stderr }).toEqual({ code: 0, stderr: "" });
      const lines = ran.stdout.split("\n");
      expect(lines[0]).toMatch(/^502 .*error=tls_certificate_error/);
      expect(lines[1]).toMatch(/^502 .*error=connection_refused/);
      expect(lines[2]).toBe(`200 ${HELLO.trim()}`);
      const records = await stand.recordsSince(before, 3);
      expect(records.map(({ error }) => error)).toEqual(["tls_certificate_error", "connection_refused", undefined]);
    },
  );
});

describe("Python's requests", () => {
  for (const scheme of ["http", "https"])
    needs("python3-requests", "openssl")(`keeps its connection to a proxy at ${scheme}:// for forwarding`, async () => {
      const before = stand.proxy.records.length;
      const { plain, secure } = stand.origins;
      const urls = [`${plain}/hello`, `${plain}/echo`, `${plain.replace("127.0.0.1", "localhost")}/hello`];
      const ran = await runPython("requests", stand.proxyUrl(scheme, "direct"), ...urls, `${secure}/hello`);
      expect(ran).toEqual({ code: 0, stdout: `200 ${HELLO}200 echoed\n200 ${HELLO}200 ${HELLO}`, stderr: "" });
      const records = await stand.recordsSince(before, 4);
      expect(summarise(records.filter(({ method }) => method !== "CONNECT"))).toEqual({
        connections: 1,
        requests: ["GET http 200", "POST http 200", "GET http 200"],
      });
      const tunnels = records.filter(({ method }) => method === "CONNECT");
      expect(tunnels).toEqual([expect.objectContaining({ target: new URL(secure).host, stage: "tunnel" })]);
    });
});

describe("wget", () => {
  const wget = async (urls: string[], login: string[] = []): Promise<Ran> => {
    await using home = await makeFolder();
    const env = { http_proxy: `http://127.0.0.1:${stand.proxy.port}`, HOME: home.path };
    return await runProgram(["wget", "-nv", "-O", "-", "--tries=1", "--timeout=20", ...login, ...urls], { env });
  };

  for (const user of ["direct", "chained"])
    needs("wget", "openssl")(`gets several files on one connection, ${user}`, async () => {
      const before = stand.proxy.records.length;
      const { plain } = stand.origins;
      const urls = [`${plain}/hello/1`, `${plain}/hello/2`, `${plain.replace("127.0.0.1", "localhost")}/hello/3`];
      const { code, stdout } = await wget(urls, [`--proxy-user=${user}`, `--proxy-password=${PASSWORD}`]);
      expect({ code, stdout }).toEqual({ code: 0, stdout: HELLO.repeat(3) });
      const records = await stand.recordsSince(before, 3);
      expect(summarise(records)).toEqual({ connections: 1, requests: Array<string>(3).fill("GET http 200") });
    });

  needs("wget", "openssl")("gets nothing without credentials", async () => {
    const before = stand.proxy.records.length;
    const { code, stdout, stderr } = await wget([`${stand.origins.plain}/hello`]);
    // "Server issued an error response"; 6, for credentials that are refused, it keeps for origins.
    expect({ code, stdout }).toEqual({ code: 8, stdout: "" });
    expect(stderr).toContain("ERROR 407: Proxy Authentication Required");
    expect((await stand.recordsSince(before, 1))[0]).toMatchObject({ status: 407, detail: "credentials_required" });
  });
});
