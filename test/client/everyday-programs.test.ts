import { afterAll, beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { type ForwardStand, startForwardStand } from "../support/forward-stand.ts";
import { isInstalled, needs, python } from "../support/needs.ts";
import { HELLO } from "../support/origin-pair.ts";
import { expectProgram, type Ran, runProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

let stack: AsyncDisposableStack;
let stand: ForwardStand;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  if (isInstalled("openssl")) stand = stack.use(await startForwardStand());
});
afterAll(() => stack.disposeAsync());

/** What a program reaches at both origins, by forwarding and by tunnel. */
function listUrls(): string[] {
  const { plain, secure } = stand.origins;
  return [`${plain}/hello`, `${plain.replace("127.0.0.1", "localhost")}/hello/"<{|}>`, `${secure}/hello`];
}

const script = (name: string): string => join(import.meta.dir, "programs", name);

/**
 * The records since the one number `before`, once there are `wanted` that were
 * served. Some programs show their credentials only when they are asked for them.
 */
async function expectServed(before: number, wanted: number): Promise<Record<string, unknown>[]> {
  const isServed = ({ detail }: Record<string, unknown>): boolean => detail !== "credentials_required";
  const records = await waitFor(() => {
    const served = stand.proxy.records.slice(before).filter(isServed);
    return served.length >= wanted && served;
  }, `${wanted} records`);
  for (const record of records) expect(record).toMatchObject({ user: "direct", route: "direct" });
  for (const { error } of records) expect(error).toBeUndefined();
  return records;
}

const listeners = ["http", "https"] as const;

describe.each(listeners)("through a listener at %s://", (scheme) => {
  const proxyUrl = () => stand.proxyUrl(scheme, "direct");
  const port = () => `:${new URL(proxyUrl()).port}`;

  needs("curl", "openssl")("curl gets and posts, forwarded and in tunnels", async () => {
    const before = stand.proxy.records.length;
    const urls = [...listUrls(), `${stand.origins.plain}/hello/b\xfccher\xdf`];
    for (const more of [[], ["--proxytunnel"], ["-d", "echoed"]]) {
      const asked = more[0] === "-d" ? [`${stand.origins.plain}/echo`, `${stand.origins.secure}/echo`] : urls;
      const stdout = await expectProgram([
        ["curl", "-sS", "--fail", "-g", "--max-time", "20", "--proxy", proxyUrl()],
        ["--proxy-cacert", stand.origins.caFile, "--cacert", stand.origins.caFile, ...more, ...asked],
      ]);
      expect(stdout).toBe(more[0] === "-d" ? "echoedechoed" : HELLO.repeat(4));
    }
    await expectServed(before, 8);
  });

  needs("curl", "openssl")("curl shows in the status line why a tunnel is refused", async () => {
    const ran = await runProgram([
      ["curl", "-v", "-g", "--max-time", "20", "--proxy", proxyUrl(), "--proxy-cacert", stand.origins.caFile],
      ["--proxytunnel", "http://192.0.2.1/"],
    ]);
    expect(ran.code).toBe(56);
    expect(ran.stderr).toContain("< HTTP/1.1 403 Address of the target is prohibited\r\n");
    await stand.proxy.record(
      ({ listener, detail }) => detail === "address_prohibited" && String(listener).endsWith(port()),
    );
  });

  needs("git", "openssl")("git is told what it needs: the answer of an origin that has no repository", async () => {
    await using home = await makeFolder();
    const before = stand.proxy.records.length;
    for (const url of [stand.origins.plain, stand.origins.secure]) {
      const { code, stderr } = await runProgram(
        [
          ["git", "-c", `http.proxy=${proxyUrl()}`, "-c", `http.sslCAInfo=${stand.origins.caFile}`],
          ["-c", `http.proxySSLCAInfo=${stand.origins.caFile}`, "ls-remote", `${url}/project.git`],
        ],
        { env: { HOME: home.path, GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" } },
      );
      expect({ code, stderr }).toEqual({
        code: 128,
        stderr: expect.stringContaining(`repository '${url}/project.git/' not found`),
      });
    }
    await expectServed(before, 2);
  });

  needs(
    "npm",
    "tar",
    "openssl",
  )("npm installs a package, forwarded and in a tunnel", async () => {
    await using work = await makeFolder({
      "package/package.json": { name: "penstock-everyday", version: "1.2.3" },
      "one/package.json": { name: "one", version: "1.0.0" },
      "two/package.json": { name: "two", version: "1.0.0" },
    });
    await expectProgram(["tar", "-czf", "package.tgz", "package"], { cwd: work.path });
    const archive = await Bun.file(join(work.path, "package.tgz")).bytes();
    const before = stand.proxy.records.length;
    for (const [folder, isSecure] of [
      ["one", false],
      ["two", true],
    ] as const) {
      using registry = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        ...(isSecure && { tls: await stand.origins.authority.issue() }),
        fetch(request, server): Response {
          const tarball = `${server.url.protocol}//127.0.0.1:${server.port}/package.tgz`;
          if (request.url.endsWith(".tgz")) return new Response(archive);
          const version = { name: "penstock-everyday", version: "1.2.3", dist: { tarball } };
          const { name } = version;
          return Response.json({ name, "dist-tags": { latest: "1.2.3" }, versions: { "1.2.3": version } });
        },
      });
      const url = `${isSecure ? "https" : "http"}://127.0.0.1:${registry.port}/`;
      const { code, stderr } = await runProgram(
        [
          ["npm", "install", "--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=0"],
          [
            `--registry=${url}`,
            `--proxy=${proxyUrl()}`,
            `--https-proxy=${proxyUrl()}`,
            "--noproxy=",
            `--cache=${work.path}/cache-${folder}`,
          ],
          [`--cafile=${stand.origins.caFile}`, "penstock-everyday"],
        ],
        { cwd: join(work.path, folder), env: { HOME: work.path, NODE_EXTRA_CA_CERTS: stand.origins.caFile } },
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
      const installed = join(work.path, folder, "node_modules/penstock-everyday/package.json");
      expect(await Bun.file(installed).json()).toMatchObject({ version: "1.2.3" });
    }
    await expectServed(before, 2);
  });

  needs("python3-aiohttp", "openssl")("aiohttp gets, posts and speaks over ws and wss", async () => {
    const before = stand.proxy.records.length;
    const { plain, secure, caFile } = stand.origins;
    const sockets = [plain, secure].map((url) => `${url.replace("http", "ws")}/chat`);
    const urls = [`${plain}/hello`, `${plain}/echo`, `${secure}/hello`, ...sockets];
    const ran = await runProgram([[python, script("everyday.py"), "aiohttp", proxyUrl(), caFile, ...urls]], {
      env: { PYTHONWARNINGS: "ignore" },
    });
    const hello = `200 ${HELLO}`;
    const conversation = "welcome over the websocket\n";
    expect(ran).toEqual({ code: 0, stdout: `${hello}200 echoed\n${hello}${conversation}${conversation}`, stderr: "" });
    // The second tunnel is used again.
    await expectServed(before, 4);
  });

  needs("node", "openssl")("axios gets and posts, to names, IPv4 and IPv6 literals", async () => {
    using six = Bun.serve({
      hostname: "::1",
      port: 0,
      fetch: (request) => new Response(`${request.headers.get("host")} ${new URL(request.url).pathname}`),
    });
    const before = stand.proxy.records.length;
    const { plain } = stand.origins;
    const literal = `http://[::1]:${six.port}`;
    const urls = [
      `${plain}/hello`,
      `${plain.replace("127.0.0.1", "localhost")}/hello`,
      `${plain}/echo`,
      `${literal}/a`,
    ];
    const ran: Ran = await runProgram([["node", script("get-axios.mjs"), proxyUrl(), ...urls]], {
      env: { NODE_EXTRA_CA_CERTS: stand.origins.caFile },
    });
    const hello = `200 ${HELLO}`;
    expect(ran).toEqual({ code: 0, stdout: `${hello}${hello}200 echoed\n200 [::1]:${six.port} /a\n`, stderr: "" });
    const records = await expectServed(before, 4);
    expect(records.map(({ target }) => target)).toContain(`[::1]:${six.port}`);
  });
});

describe("programs that reach a proxy in clear alone", () => {
  needs("wget", "openssl")("wget gets files, forwarded and in a tunnel", async () => {
    await using home = await makeFolder();
    const before = stand.proxy.records.length;
    const proxy = stand.proxyUrl("http", "direct");
    const stdout = await expectProgram(
      [
        [
          "wget",
          "-nv",
          "-O",
          "-",
          "--tries=1",
          "--timeout=20",
          `--ca-certificate=${stand.origins.caFile}`,
          ...listUrls(),
        ],
      ],
      { env: { http_proxy: proxy, https_proxy: proxy, HOME: home.path } },
    );
    expect(stdout).toBe(HELLO.repeat(3));
    await expectServed(before, 3);
    const refused = await runProgram(["wget", "-nv", "-O", "-", "--tries=1", "--timeout=20", "https://192.0.2.1/"], {
      env: { https_proxy: proxy, HOME: home.path },
    });
    expect(refused.stderr).toContain("Proxy tunneling failed: Address of the target is prohibited");
    await waitFor(
      () => stand.proxy.records.slice(before).some(({ detail }) => detail === "address_prohibited"),
      "the record of the refusal",
    );
  });

  needs("lftp", "openssl")("lftp gets files, forwarded and in a tunnel", async () => {
    await using home = await makeFolder();
    const before = stand.proxy.records.length;
    const { plain, secure, caFile } = stand.origins;
    const commands = [
      "set net:max-retries 1; set net:timeout 20; set cmd:fail-exit yes",
      `set http:proxy ${stand.proxyUrl("http", "direct")}; set https:proxy ${stand.proxyUrl("http", "direct")}`,
      `set ssl:ca-file ${caFile}; set http:use-propfind no`,
      `cat ${plain}/hello; cat ${secure}/hello`,
    ];
    const stdout = await expectProgram(["lftp", "-c", commands.join("; ")], { env: { HOME: home.path } });
    expect(stdout).toBe(HELLO.repeat(2));
    const records = await expectServed(before, 2);
    expect(records.map(({ target }) => target)).toEqual([plain, secure].map((url) => new URL(url).host));
  });

  for (const scheme of ["http", "socks5"])
    needs("python3-socks", "openssl")(`PySocks opens tunnels by ${scheme}://`, async () => {
      const before = stand.proxy.records.length;
      const { plain, secure, caFile } = stand.origins;
      const urls = [`${plain}/hello`, `${secure.replace("127.0.0.1", "localhost")}/hello`];
      const proxy = stand.proxyUrl(scheme, "direct");
      const ran = await runProgram([[python, script("everyday.py"), "socks", proxy, caFile, ...urls]]);
      expect(ran).toEqual({ code: 0, stdout: `200 ${HELLO}`.repeat(2), stderr: "" });
      await expectServed(before, 2);
    });
});
