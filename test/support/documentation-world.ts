import { chmod, copyFile, mkdir, readdir, readFile, symlink } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { openTunnel } from "./ask-tunnel.ts";
import { findExecutable } from "./build-executable.ts";
import { type CertificateAuthority, makeAuthority } from "./certificate-authority.ts";
import { expectProgram } from "./program.ts";
import { makeFolder, type TemporaryFolder } from "./temporary-folder.ts";
import { connectRaw } from "./raw-peer.ts";
import { listenSessionUpstream } from "./session-upstream.ts";
import { waitFor } from "./wait-for.ts";

/** The names that pages use for examples, at addresses on this namespace's loopback: public ones for the proxy. */
const SITES: Readonly<Record<string, string>> = {
  "example.org": "93.184.1.1",
  "www.example.org": "93.184.1.1",
  "registry.npmjs.org": "93.184.1.2",
  "pypi.org": "93.184.1.3",
  "new.example": "93.184.1.4",
  "id.example": "93.184.1.5",
};
/** The machine of the proxy, as its clients and operators name it. */
const PROXIES: Readonly<Record<string, string>> = {
  "proxy.example": "10.9.0.1",
  "proxy.example.org": "10.9.0.1",
  proxy: "10.9.0.1",
  "edge.example": "10.9.0.1",
  "gate.provider.example": "10.9.0.2",
};

/** Folders that commands write to, which are this mount namespace's own. */
const OWN_FOLDERS = ["/usr/local/bin", "/usr/local/share", "/usr/share/bash-completion/completions"];

export const TOKEN = "0123456789abcdef0123456789abcdef";
const SIDECAR = "http://127.0.0.1:9080";

/** Programs with windows, and those that need another user: what they would be given is looked at instead. */
const STAND_INS: Readonly<Record<string, string>> = {
  // Reads a capture to its end, from its last argument or standard input.
  wireshark: 'trap "" INT\nfor last; do :; done\n[ "$last" = - ] && last=/dev/stdin\nexec od -An -tx1 -N4 "$last"\n',
  sudo: 'exec "$@"\n',
  man: "exec mandoc -T utf8\n",
};

/** What a page needs beside the world. */
export interface PageNeeds {
  /** The configuration of the proxy that serves; the world's when absent. */
  readonly config?: { readonly name: string; readonly text: string };
  /** Its lines make the authority and the certificate themselves. */
  readonly makesCertificates?: true;
  /** What the clients of tunnels show; the name and the password of alice when absent. */
  readonly credentials?: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string | object>>;
}

/** The internet of a reader who tries every line: sites, a proxy that serves and has tunnels, a folder. */
export class DocumentationWorld implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly environment: Readonly<Record<string, string>>;
  readonly #credentials: string;
  readonly #stack: AsyncDisposableStack;
  #tunnels: Disposable[] = [];
  #question: string | undefined;

  private constructor(folder: TemporaryFolder, stack: AsyncDisposableStack, needs: PageNeeds) {
    this.folder = folder;
    this.#stack = stack;
    this.#credentials = needs.credentials ?? "alice:secret";
    const { path } = folder;
    this.environment = {
      HOME: join(path, "home"),
      PATH: `${join(path, "stand-ins")}:/usr/local/bin:${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`,
      SIDECAR_TOKEN: TOKEN,
      CORP_PASSWORD: "parent",
      EXITS_PASSWORD: "exits",
      CURL_CA_BUNDLE: join(path, "ca.pem"),
      NODE_EXTRA_CA_CERTS: join(path, "ca.pem"),
      LC_ALL: "C.UTF-8",
      ...needs.variables,
    };
  }

  /** Builds the world. This process must be root in namespaces of its own: network, mounts, processes. */
  static async build(needs: PageNeeds): Promise<DocumentationWorld> {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await makeFolder());
    const authority = stack.use(await makeAuthority());
    await layOut(folder, authority, needs);
    stack.defer(async () => void (await expectProgram(["umount", "-l", "/etc"])));
    await openSites(stack, authority);
    return new DocumentationWorld(folder, stack.move(), needs);
  }

  /** Where the reader is: the folder of the configuration. */
  get work(): string {
    return join(this.folder.path, "work");
  }

  /** Sees to it that a proxy serves which has tunnels of alice. Gives the ids of two of them. */
  async serve(): Promise<readonly string[]> {
    if (!(await isReady())) {
      await this.stop();
      const child = Bun.spawn(["penstock"], {
        cwd: this.work,
        env: { ...this.environment, PENSTOCK_SIDECAR_PORT: "9080", PENSTOCK_SIDECAR_TOKEN: TOKEN },
        stdout: "ignore",
        stderr: Bun.file(join(this.folder.path, "proxy.log")),
      });
      await waitFor(async () => (await isReady()) || child.exitCode !== null, "the proxy to serve");
      if (child.exitCode !== null) throw new Error(await readFile(join(this.folder.path, "proxy.log"), "utf8"));
    }
    return this.#haveTunnels();
  }

  async #haveTunnels(): Promise<readonly string[]> {
    const list = async (): Promise<string[]> => {
      const answer = await fetch(`${SIDECAR}/tunnels`, { headers: { Authorization: `Bearer ${TOKEN}` } });
      const { tunnels } = (await answer.json()) as { tunnels: { id: string }[] };
      return tunnels.map(({ id }) => id);
    };
    for (;;) {
      const ids = await list();
      if (ids.length >= 2) return ids;
      this.#tunnels.push(await openTunnel(8080, "example.org:443", this.#credentials));
    }
  }

  /** The id of a target that waits for an operator, or was answered. */
  async askOperator(): Promise<string> {
    if (this.#question === undefined) {
      const client = await connectRaw(8080);
      this.#tunnels.push(client);
      client.write("CONNECT new.example:443 HTTP/1.1\r\nHost: new.example:443\r\n\r\n");
      this.#question = await waitFor(async () => {
        const answer = await fetch(`${SIDECAR}/approvals`, { headers: { Authorization: `Bearer ${TOKEN}` } });
        return /"id":\s*"(\w+)"/.exec(await answer.text())?.[1];
      }, "a target to wait for an operator");
    }
    return this.#question;
  }

  /** Ends every proxy. No other process of that name is in this namespace. */
  async stop(): Promise<void> {
    for (const tunnel of this.#tunnels.splice(0)) tunnel[Symbol.dispose]();
    await waitFor(async () => {
      const running = await listProxies();
      for (const pid of running) kill(pid);
      return running.length === 0;
    }, "proxies to end");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#stack.disposeAsync();
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

async function listProxies(): Promise<number[]> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 1);
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")));
  return pids.filter((_, at) => /^\d+ \(penstock.*\) [^ZX] /.test(stats[at] ?? ""));
}

async function isReady(): Promise<boolean> {
  try {
    return (await fetch(`${SIDECAR}/readyz`)).ok;
  } catch {
    return false;
  }
}

async function layOut(folder: TemporaryFolder, authority: CertificateAuthority, needs: PageNeeds): Promise<void> {
  const { path } = folder;
  const names = Object.entries({ ...SITES, ...PROXIES });
  const { name, text } = needs.config ?? { name: "proxy.config.ts", text: CONFIG };
  const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
  const leaf = await authority.issue({ names: ["DNS:edge.example", "DNS:proxy.example"] });
  await folder.write({
    hosts: `127.0.0.1 localhost\n${names.map(([host, address]) => `${address} ${host}\n`).join("")}`,
    "ca.pem": authority.cert,
    "work/corp-ca.pem": authority.cert,
    ...(needs.makesCertificates !== true && {
      "work/ca.pem": authority.cert,
      "work/fullchain.pem": leaf.cert,
      "work/privkey.pem": leaf.key,
    }),
    "work/users.htpasswd": `alice:${hash}\nuser:${hash}\n`,
    [`work/${name}`]: text,
    ...Object.fromEntries(
      Object.entries(STAND_INS).map(([file, script]) => [`stand-ins/${file}`, `#!/bin/sh\n${script}`]),
    ),
    ...Object.fromEntries(Object.entries(needs.files ?? {}).map(([file, content]) => [`work/${file}`, content])),
  });
  for (const file of Object.keys(STAND_INS)) await chmod(join(path, "stand-ins", file), 0o755);
  await mkdir(join(path, "home/.pki/nssdb"), { recursive: true });
  await mkdir(join(path, "home/.config/fish/completions"), { recursive: true });
  await expectProgram(["certutil", "-N", "-d", `sql:${path}/home/.pki/nssdb`, "--empty-password"]);
  for (const own of OWN_FOLDERS) await expectProgram(["mount", "-t", "tmpfs", "tmpfs", own]);
  for (const made of ["ca-certificates", "man/man1", "zsh/site-functions"])
    await mkdir(join("/usr/local/share", made), { recursive: true });
  await expectProgram(["cp", "-a", "/etc", join(path, "etc")]);
  await expectProgram(["mount", "--bind", join(path, "etc"), "/etc"]);
  await mkdir("/etc/penstock", { recursive: true });
  await Bun.write("/etc/penstock/proxy.config.json", '{ "listen": ["127.0.0.1:8080"] }\n');
  await Bun.write("/etc/ssl/certs/ca-certificates.crt", authority.cert);
  // Without the authorities of the distribution its command is fast.
  await Bun.write("/etc/ca-certificates.conf", "");
  await copyFile(await findExecutable(), "/usr/local/bin/penstock");
  await symlink(await findExecutable(), join(path, "work/penstock-new"));
  await symlink(await findExecutable(), join(path, "work/penstock-linux-x64"));
  await expectProgram(["mount", "--bind", join(path, "hosts"), "/etc/hosts"]);
  await expectProgram(["ip", "link", "set", "lo", "up"]);
  for (const address of new Set(names.map(([, at]) => at)))
    await expectProgram(["ip", "address", "add", `${address}/32`, "dev", "lo"]);
}

async function openSites(stack: AsyncDisposableStack, authority: CertificateAuthority): Promise<void> {
  for (const hostname of new Set(Object.values(SITES))) {
    const names = Object.keys(SITES).filter((site) => SITES[site] === hostname);
    const fetch = (): Response => new Response(`hello from ${names[0]}\n`);
    const tls = await authority.issue({ names: names.map((site) => `DNS:${site}`) });
    stack.use(Bun.serve({ hostname, port: 443, tls, fetch }));
    stack.use(Bun.serve({ hostname, port: 80, fetch }));
  }
  stack.use(openGateway(PROXIES["gate.provider.example"] ?? "", stack.use(listenSessionUpstream("socks5")).port));
  // An operator's way from another machine.
  stack.use(
    Bun.serve({
      hostname: PROXIES["edge.example"] ?? "",
      port: 9443,
      tls: await authority.issue({ names: ["DNS:edge.example"] }),
      fetch: ({ url, headers, method }) => {
        headers.delete("Host");
        return fetch(`${SIDECAR}${new URL(url).pathname}`, { headers, method });
      },
    }),
  );
}

/** Leads the address and the port of the pages to a gateway of tests. */
function openGateway(hostname: string, port: number): Disposable {
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    near.pipe(far).pipe(near);
    // A side that goes takes the other one along.
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
  }).listen(7000, hostname);
  return { [Symbol.dispose]: () => void server.close() };
}

/** What serves beside the lines: every command finds something to show. Clients on loopback need no password. */
const CONFIG = `import { defineConfig, env } from "penstock";

export default defineConfig({
  listen: [{ host: "0.0.0.0", port: 8080 }, { host: "0.0.0.0", port: 3128 }, { host: "127.0.0.1", port: 1080 }],
  users: { file: "users.htpasswd" },
  auth: { exempt: [{ name: "local", from: "127.0.0.0/8" }] },
  upstreams: { exits: { pool: ["socks5h://10.0.0.7:1080", "socks5h://10.0.0.8:1080"] } },
  rules: [
    { name: "no-mail", to: ["*:25"], deny: true },
    { name: "new", to: ["new.example:443"], ask: true },
  ],
  default: "direct",
  timeouts: { ask: "60s", drain: "1s" },
  state: { folder: "state" },
  sidecar: { port: 9080, token: env("SIDECAR_TOKEN") },
});
`;
