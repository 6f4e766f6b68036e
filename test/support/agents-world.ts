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
/** Another server on the proxy's machine, at all of its addresses. */
const NEIGHBOUR = { hostname: "0.0.0.0", port: 8088 };
const NAME_SERVER = "127.0.0.53";

/** What docs/agents.md says of the sandbox. */
export interface SandboxText {
  readonly token: string;
  /** The commands that make it. */
  readonly cables: string;
  /** The command line that starts its shell. */
  readonly shell: string;
  /** The commands that tell it where the proxy is. */
  readonly environment: string;
}

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
  /** Connections that reached the address of evil, or another server on the proxy's machine. */
  readonly strayConnections: () => number;
  /** Runs a command line of the sandbox's user, in its home. */
  inSandbox(command: string): Promise<Ran>;
  /** All that the sandbox's user can read: files below its home, its environment, and what processes show to it. */
  readSandbox(): Promise<string>;
}

/** Builds the world. This process must be root in network and mount namespaces of its own. */
export async function buildAgentsWorld(sandbox: SandboxText): Promise<AgentsWorld> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await makeFolder());
  const authority = stack.use(await makeAuthority());
  await folder.write({ "ca.pem": authority.cert, "resolv.conf": `nameserver ${NAME_SERVER}\n` });
  await layCables(folder, sandbox.cables);
  const zone: Zone = {
    ...Object.fromEntries(Object.entries(SITES).map(([name, address]) => [name, { a: [address] }])),
    "*.evil.example": { a: [EVIL_ADDRESS] },
    "evil.example": { a: [EVIL_ADDRESS] },
  };
  const names = stack.use(await NameServer.start(NAME_SERVER, 53));
  names.zone = zone;
  const visits: Visit[] = [];
  await openSites({ stack, folder, authority, visits, token: sandbox.token });
  let strayConnections = 0;
  const outside = [22, 53, 80, 443, 8443].map((port) => ({ hostname: EVIL_ADDRESS, port }));
  for (const place of [...outside, NEIGHBOUR])
    stack.use(
      Bun.listen({
        ...place,
        socket: {
          open(socket) {
            strayConnections += 1;
            socket.end();
          },
          data() {},
        },
      }),
    );
  const home = join(folder.path, "home");
  const environment = `${describeSandbox(home, join(folder.path, "ca.pem"))}\n${sandbox.environment}`;
  const inSandbox = (command: string): Promise<Ran> =>
    runProgram([sandbox.shell.split(" "), "-c", `${environment}\ncd ~\n${command}`]);
  const owned = stack.move();
  return {
    folder,
    visits,
    asked: names.asked,
    strayConnections: () => strayConnections,
    inSandbox,
    async readSandbox() {
      const files = await expectProgram(["grep", "-ra", "", home]);
      const { stdout } = await inSandbox("env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null");
      return `${files}\n${stdout}`;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What a sandbox of this internet needs beside: its authority, and its registries. */
function describeSandbox(home: string, ca: string): string {
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
    // Python of the distribution comes first: it has pip.
    "PATH=/usr/bin:/bin:/usr/local/bin",
    "LC_ALL=C.UTF-8",
    ...trust.map((name) => `${name}=${ca}`),
    "npm_config_registry=https://registry.packages.example/",
    "npm_config_update_notifier=false",
    "PIP_INDEX_URL=https://index.python.example/simple/",
    "PIP_DISABLE_PIP_VERSION_CHECK=1",
    "GIT_TERMINAL_PROMPT=0",
  ]
    .map((setting) => `export ${setting}`)
    .join("\n");
}

async function layCables(folder: TemporaryFolder, cables: string): Promise<void> {
  const ip = (...args: string[]) => expectProgram(["ip", ...args]);
  // What `ip netns` and `iptables` keep stays in this mount namespace.
  await expectProgram(["mount", "-t", "tmpfs", "tmpfs", "/run"]);
  await expectProgram(["mount", "--bind", join(folder.path, "resolv.conf"), "/etc/resolv.conf"]);
  await ip("link", "set", "lo", "up");
  for (const address of [...Object.values(SITES), EVIL_ADDRESS])
    await ip("address", "add", `${address}/32`, "dev", "lo");
  await expectProgram(["bash", "-ec", cables]);
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
