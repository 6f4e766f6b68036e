import { afterAll, beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { startExecutable } from "../support/executable.ts";
import { type ForwardStand, startForwardStand } from "../support/forward-stand.ts";
import { isInstalled, needs } from "../support/needs.ts";
import { HELLO } from "../support/origin-pair.ts";
import { type Ran, runProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";

let stack: AsyncDisposableStack;
let stand: ForwardStand;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  if (isInstalled("openssl")) stand = stack.use(await startForwardStand());
});
afterAll(() => stack.disposeAsync());

function runNode(script: string, ...args: string[]): Promise<Ran> {
  const env = { NODE_EXTRA_CA_CERTS: stand.origins.caFile };
  return runProgram(["node", join(import.meta.dir, "programs", script), ...args], { env });
}

describe("ws in Node.js", () => {
  const conversation = ["heard welcome", "the same came back", "pong to are you there", "closed with 1000", ""].join(
    "\n",
  );
  const cases = [
    { way: "forward", scheme: "http", user: "direct", origin: "plain" },
    { way: "forward", scheme: "http", user: "chained", origin: "plain" },
    { way: "forward", scheme: "https", user: "direct", origin: "plain" },
    { way: "forward", scheme: "https", user: "direct", origin: "secure" },
    { way: "forward", scheme: "https", user: "chained", origin: "secure" },
    { way: "tunnel", scheme: "http", user: "direct", origin: "plain" },
    { way: "tunnel", scheme: "https", user: "direct", origin: "secure" },
    { way: "tunnel", scheme: "https", user: "chained", origin: "plain" },
    { way: "socks", scheme: "socks5h", user: "direct", origin: "plain" },
    { way: "socks", scheme: "socks5h", user: "chained", origin: "secure" },
  ] as const;

  for (const { way, scheme, user, origin } of cases) {
    const url = () => `${stand.origins[origin].replace(/^http/, "ws")}/chat?of=${way}`;
    const title = `converses with a ${origin} server, ${way === "forward" ? "forwarded" : `by ${way}`}, ${scheme}://, ${user}`;

    needs("node", "openssl")(title, async () => {
      const before = stand.proxy.records.length;
      const asked = stand.origins.requests.length;
      const ran = await runNode("converse-ws.mjs", way, stand.proxyUrl(scheme, user), url());
      expect(ran).toEqual({ code: 0, stdout: conversation, stderr: "" });

      const [record] = await stand.recordsSince(before, 1);
      const { host } = new URL(url());
      expect(record).toMatchObject({
        protocol: way === "socks" ? "socks5" : "http",
        method: way === "forward" ? "GET" : "CONNECT",
        user,
        target: host,
        route: user === "chained" ? "next" : "direct",
        stage: "tunnel",
        status: way === "forward" ? 101 : 200,
      });
      expect(Math.min(Number(record?.["bytes_up"]), Number(record?.["bytes_down"]))).toBeGreaterThan(300_000);

      const [request] = stand.origins.requests.slice(asked);
      expect(request?.url).toBe(`${stand.origins[origin]}/chat?of=${way}`);
      expect(request?.fields).not.toHaveProperty("proxy-authorization");
      // Who only moves bytes leaves no trace; with TLS behind a tunnel the second proxy has none to leave.
      const proxies = request?.fields["via"]?.split(",").length ?? 0;
      expect(proxies).toBe(way === "forward" ? (user === "chained" && origin === "plain" ? 2 : 1) : 0);
    });
  }

  needs("node", "openssl")("is told by its status that a wrong password opens nothing", async () => {
    const before = stand.proxy.records.length;
    const url = `${stand.origins.plain.replace(/^http/, "ws")}/`;
    const ran = await runNode("converse-ws.mjs", "forward", stand.proxyUrl("http", "direct", "guessed"), url);
    expect(ran).toEqual({
      code: 1,
      stdout: "closed with 1006\n",
      stderr: "Unexpected server response: 407\n",
    });
    const [record] = await stand.recordsSince(before, 1);
    expect(record).toMatchObject({ status: 407, detail: "credentials_wrong" });
  });
});

describe("socks-proxy-agent in Node.js", () => {
  for (const scheme of ["socks5", "socks5h"])
    needs("node", "openssl")(`asks both origins by ${scheme}://, with a user`, async () => {
      const before = stand.proxy.records.length;
      const { plain, secure } = stand.origins;
      const named = plain.replace("127.0.0.1", "localhost");
      const urls = [`${named}/hello/1`, `${named}/hello/2`, `${secure}/hello/3`];
      const ran = await runNode("ask-socks-agent.mjs", stand.proxyUrl(scheme, "direct"), ...urls);
      expect(ran).toEqual({ code: 0, stdout: HELLO.repeat(3), stderr: "" });
      const records = await stand.recordsSince(before, 2);
      // The agent keeps its tunnel for the second request.
      expect(records.map(({ target }) => target).sort()).toEqual(
        [new URL(scheme === "socks5h" ? named : plain).host, new URL(secure).host].sort(),
      );
      for (const record of records)
        expect(record).toMatchObject({ protocol: "socks5", user: "direct", status: 200, stage: "tunnel" });
    });

  for (const scheme of ["socks4", "socks4a", "socks5h"])
    needs("node", "openssl")(`asks both origins by ${scheme}:// where nobody is asked for credentials`, async () => {
      await using folder = await makeFolder({
        "proxy.config.json": {
          listen: ["127.0.0.1:0"],
          rules: [{ to: ["127.0.0.1", "localhost"], allowPrivate: true }],
        },
      });
      await using open = await startExecutable({ cwd: folder.path });
      const { plain, secure } = stand.origins;
      const urls = [`${plain.replace("127.0.0.1", "localhost")}/hello`, `${secure}/hello`];
      const ran = await runNode("ask-socks-agent.mjs", `${scheme}://127.0.0.1:${open.port}`, ...urls);
      expect(ran).toEqual({ code: 0, stdout: HELLO.repeat(2), stderr: "" });
      const target = new URL(secure).host;
      const record = await open.record((each) => each["target"] === target);
      expect(record).toMatchObject({ protocol: scheme.slice(0, "socks4".length), status: 200 });
    });

  needs("node", "openssl")("gets nowhere with a wrong password", async () => {
    const before = stand.proxy.records.length;
    const proxyUrl = stand.proxyUrl("socks5h", "direct", "guessed");
    const ran = await runNode("ask-socks-agent.mjs", proxyUrl, `${stand.origins.plain}/hello`);
    expect(ran).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("Socks5 Authentication failed") });
    const [record] = await stand.recordsSince(before, 1);
    expect(record).toMatchObject({ detail: "credentials_wrong" });
  });
});
