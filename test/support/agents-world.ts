import { join } from "node:path";
import { type CertificateAuthority, makeAuthority } from "./certificate-authority.ts";
import { NameServer, type Zone } from "./name-server.ts";
import { expectProgram, type Ran, runProgram } from "./program.ts";
import { makeFolder, type TemporaryFolder } from "./temporary-folder.ts";

/** Sites by name, at addresses that are public for the proxy, on this namespace's loopback. */
const SITES: Readonly<Record<string, string>> = {
  "www.example.org": "93.184.1.1",
  "git.forge.example": "93.184.1.2",
  "registry.packages.example": "93.184.1.3",
  "cdn.packages.example": "93.184.1.4",
  "index.python.example": "93.184.1.5",
  "files.python.example": "93.184.1.6",
  "api.model.example": "93.184.1.7",
  "docs.library.example": "93.184.1.8",
};
/** Whoever wants what is in the sandbox: every name below `evil.example`. */
const EVIL_ADDRESS = "93.184.9.9";
const NAME_SERVER = "127.0.0.53";
/** The two ends of the only cable of the sandbox. */
const PROXY_ADDRESS = "10.200.0.1";
const SANDBOX_ADDRESS = "10.200.0.2";

/** What reached a site. */
export interface Visit {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
}

/** The internet of a tale: sites, a name server, and a sandbox that has one cable, which leads to the proxy's machine. */
export interface AgentsWorld extends AsyncDisposable {
  /** Where the proxy runs: its configuration, its log, the authority's certificate `ca.pem`. */
  readonly folder: TemporaryFolder;
  /** What every site was asked, in order. */
  readonly visits: readonly Visit[];
  /** The names that were asked of the name server. */
  readonly asked: readonly string[];
  /** Connections that reached the address of evil. */
  readonly evilConnections: () => number;
  /** Runs a command line of the sandbox's user, in its home. */
  inSandbox(command: string): Promise<Ran>;
  /** All that the sandbox's user can read of its own: files below its home and its environment. */
  readSandbox(): Promise<string>;
}

/** Builds the world. This process must be root in network and mount namespaces of its own. */
export async function buildAgentsWorld(token: string): Promise<AgentsWorld> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await makeFolder());
  const authority = stack.use(await makeAuthority());
  await folder.write({ "ca.pem": authority.cert, "resolv.conf": `nameserver ${NAME_SERVER}\n` });
  await layCables(folder);
  const zone: Zone = {
    ...Object.fromEntries(Object.entries(SITES).map(([name, address]) => [name, { a: [address] }])),
    "*.evil.example": { a: [EVIL_ADDRESS] },
    "evil.example": { a: [EVIL_ADDRESS] },
  };
  const names = stack.use(await NameServer.start(NAME_SERVER, 53));
  names.zone = zone;
  const visits: Visit[] = [];
  await openSites({ stack, folder, authority, visits, token });
  let evilConnections = 0;
  for (const port of [22, 53, 80, 443, 8443])
    stack.use(
      Bun.listen({
        hostname: EVIL_ADDRESS,
        port,
        socket: {
          open() {
            evilConnections += 1;
          },
          data() {},
        },
      }),
    );
  const environment = describeSandbox(join(folder.path, "home"), join(folder.path, "ca.pem"));
  const owned = stack.move();
  return {
    folder,
    visits,
    asked: names.asked,
    evilConnections: () => evilConnections,
    inSandbox: (command) =>
      runProgram([
        [
          "ip",
          "netns",
          "exec",
          "sandbox",
          "setpriv",
          "--reuid=65534",
          "--regid=65534",
          "--clear-groups",
          "--no-new-privs",
        ],
        ["env", "-i", "-C", join(folder.path, "home"), ...environment, "bash", "-c", command],
      ]),
    async readSandbox() {
      const files = await expectProgram(["grep", "-ra", "", join(folder.path, "home")]);
      return `${files}\n${environment.join("\n")}`;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The environment of the sandbox: nothing but where the proxy is and whom to trust. */
function describeSandbox(home: string, ca: string): string[] {
  const proxy = `http://agent:sandbox@${PROXY_ADDRESS}:3128`;
  const trust = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "npm_config_cafile",
  ];
  return [
    `HOME=${home}`,
    `PATH=/usr/local/bin:/usr/bin:/bin`,
    "LC_ALL=C.UTF-8",
    ...["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"].map((name) => `${name}=${proxy}`),
    ...trust.map((name) => `${name}=${ca}`),
    "npm_config_registry=https://registry.packages.example/",
    "npm_config_update_notifier=false",
    "PIP_INDEX_URL=https://index.python.example/simple/",
    "PIP_DISABLE_PIP_VERSION_CHECK=1",
    "GIT_TERMINAL_PROMPT=0",
  ];
}

async function layCables(folder: TemporaryFolder): Promise<void> {
  const ip = (...args: string[]) => expectProgram(["ip", ...args]);
  // What `ip netns` keeps stays in this mount namespace.
  await expectProgram(["mount", "-t", "tmpfs", "tmpfs", "/run"]);
  await expectProgram(["mount", "--bind", join(folder.path, "resolv.conf"), "/etc/resolv.conf"]);
  await ip("link", "set", "lo", "up");
  for (const address of [...Object.values(SITES), EVIL_ADDRESS])
    await ip("address", "add", `${address}/32`, "dev", "lo");
  await ip("netns", "add", "sandbox");
  await ip("link", "add", "cable", "type", "veth", "peer", "name", "eth0", "netns", "sandbox");
  await ip("address", "add", `${PROXY_ADDRESS}/24`, "dev", "cable");
  await ip("link", "set", "cable", "up");
  await ip("-n", "sandbox", "link", "set", "lo", "up");
  await ip("-n", "sandbox", "address", "add", `${SANDBOX_ADDRESS}/24`, "dev", "eth0");
  await ip("-n", "sandbox", "link", "set", "eth0", "up");
}

interface SiteParts {
  readonly stack: AsyncDisposableStack;
  readonly folder: TemporaryFolder;
  readonly authority: CertificateAuthority;
  readonly visits: Visit[];
  readonly token: string;
}

async function openSites({ stack, folder, authority, visits, token }: SiteParts): Promise<void> {
  const files = await makeSiteFiles(folder);
  for (const [host, hostname] of Object.entries(SITES)) {
    const answer = (request: Request): Response => {
      const { pathname } = new URL(request.url);
      const authorization = request.headers.get("Authorization");
      visits.push({ host, method: request.method, path: pathname, authorization });
      if (host === "api.model.example")
        return authorization === `Bearer ${token}`
          ? Response.json({ answer: 42 })
          : Response.json({ error: "no token" }, { status: 401 });
      return files(host, pathname) ?? new Response("No such page\n", { status: 404 });
    };
    const tls = await authority.issue({ names: [`DNS:${host}`] });
    stack.use(Bun.serve({ hostname, port: 443, tls, fetch: answer }));
    stack.use(Bun.serve({ hostname, port: 80, fetch: answer }));
  }
}

/** What sites without a token have: a page, a repository of git, a package of npm, one of pip. */
async function makeSiteFiles(folder: TemporaryFolder): Promise<(host: string, path: string) => Response | undefined> {
  const { path } = folder;
  await folder.write({
    "npm/package/package.json": { name: "tale-tool", version: "1.2.3" },
    "npm/package/index.js": "module.exports = 42;\n",
    "work/README": "A tool.\n",
    "wheel/tale_lib/__init__.py": "answer = 42\n",
    "wheel/tale_lib-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tale-lib\nVersion: 1.0\n",
    "wheel/tale_lib-1.0.dist-info/WHEEL":
      "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "wheel/tale_lib-1.0.dist-info/RECORD": "tale_lib/__init__.py,,\n",
    "home/agent.mjs": await Bun.file(join(import.meta.dir, "../client/programs/agent.mjs")).text(),
  });
  const script = [
    "tar -C npm -czf tale-tool-1.2.3.tgz package",
    "(cd wheel && python3 -m zipfile -c ../tale_lib-1.0-py3-none-any.whl tale_lib tale_lib-1.0.dist-info)",
    "git init -q work && git -C work add README",
    "git -C work -c user.name=a -c user.email=a@example.org commit -qm one",
    "git clone -q --bare work tool.git && git -C tool.git update-server-info",
    "chown -R 65534:65534 home",
  ];
  await expectProgram(["bash", "-ec", script.join("\n")], { cwd: path, env: { HOME: path } });
  const tarball = "https://cdn.packages.example/tale-tool-1.2.3.tgz";
  const version = { name: "tale-tool", version: "1.2.3", dist: { tarball } };
  const file = (name: string): Response => new Response(Bun.file(join(path, name)));
  return (host, asked) => {
    switch (host) {
      case "www.example.org":
      case "docs.library.example":
        return asked === "/" ? new Response(`hello from ${host}\n`) : undefined;
      case "git.forge.example":
        return asked.startsWith("/tool.git/") && !asked.includes("..") ? fileIn(path, asked) : undefined;
      case "registry.packages.example":
        return asked === "/tale-tool"
          ? Response.json({ name: "tale-tool", "dist-tags": { latest: "1.2.3" }, versions: { "1.2.3": version } })
          : undefined;
      case "cdn.packages.example":
        return asked === "/tale-tool-1.2.3.tgz" ? file("tale-tool-1.2.3.tgz") : undefined;
      case "index.python.example":
        return asked === "/simple/tale-lib/"
          ? new Response(
              '<a href="https://files.python.example/tale_lib-1.0-py3-none-any.whl">tale_lib-1.0-py3-none-any.whl</a>',
              { headers: { "Content-Type": "text/html" } },
            )
          : undefined;
      case "files.python.example":
        return asked.endsWith(".whl") ? file("tale_lib-1.0-py3-none-any.whl") : undefined;
      default:
        return undefined;
    }
  };
}

/** A file of the repository; absent ones are asked for by git as well. */
function fileIn(folder: string, asked: string): Response | undefined {
  const path = join(folder, decodeURIComponent(asked));
  const { exitCode } = Bun.spawnSync(["test", "-f", path]);
  return exitCode === 0 ? new Response(Bun.file(path)) : undefined;
}
