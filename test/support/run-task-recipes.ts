import { readBlocks } from "./documentation.ts";
import { runExecutable, type ServingExecutable, startExecutable } from "./executable.ts";
import { listenEchoAt, nameHosts } from "./named-hosts.ts";
import { basic } from "./proxy.ts";
import { connectRaw } from "./raw-peer.ts";
import { makeFolder } from "./temporary-folder.ts";
import { startMicrosocks, startSquid, type UpstreamProgram } from "./upstream-programs.ts";
import { waitFor } from "./wait-for.ts";

/** Where this file is, to be run within namespaces of its own. */
export const runner = import.meta.path;

/** What came of a client's tunnels, one after the other. */
export interface TaskResults {
  /** The company's proxy is Squid, which wants the credentials of the recipe. */
  readonly company: {
    readonly outside: Tunnel;
    readonly inside: Tunnel;
    /** The variable has another password. */
    readonly withoutPassword: Tunnel;
    /** Who asked Squid for what. */
    readonly squid: readonly { readonly user: string; readonly target: string }[];
  };
  /** The exits are microsocks. */
  readonly pool: {
    readonly session: readonly Tunnel[];
    readonly others: readonly Tunnel[];
    /** The same session, once its exit is gone. */
    readonly moved: readonly Tunnel[];
    readonly stranger: Tunnel;
    readonly explained: string;
  };
}

/** The status of the answer, and what the access line has of the tunnel. */
export interface Tunnel {
  readonly status: string;
  readonly by: string;
}

const SITE = { name: "site.test", address: "93.184.215.14" };
const INTRANET = { name: "wiki.corp.example", address: "10.1.0.20" };
const CORP = { name: "proxy.corp.example", host: "10.1.0.1", port: 3128 };
const EXITS = ["10.0.0.7", "10.0.0.8"];

/** The block of docs/recipes.md that holds `part`, as it is written there. */
function readRecipe(part: string): string {
  const block = readBlocks("docs/recipes.md").find(({ text }) => text.includes(part));
  if (block === undefined) throw new Error(`docs/recipes.md has no block with ${part}`);
  return block.text;
}

/** Opens a tunnel through the proxy, and has something sent back in it. */
async function use(proxy: ServingExecutable, host: string, login?: readonly [string, string]): Promise<Tunnel> {
  const before = proxy.records.length;
  using peer = await connectRaw(8080);
  const fields = Object.entries(login === undefined ? {} : basic(...login));
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  peer.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n${lines}\r\n`);
  await peer.untilText("\r\n\r\n");
  const status = peer.text.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length);
  if (status === "200") {
    peer.write("ping");
    await peer.untilText("ping");
  }
  peer.finish();
  await peer.untilEnd();
  const record = await waitFor(() => proxy.records[before], "the access line");
  return { status, by: String(record["member"] ?? record["detail"] ?? record["route"]) };
}

async function useOften(count: number, ...by: Parameters<typeof use>): Promise<Tunnel[]> {
  const seen: Tunnel[] = [];
  for (let at = 0; at < count; at += 1) seen.push(await use(...by));
  return seen;
}

async function tryCompany(): Promise<TaskResults["company"]> {
  await using squid = await startSquid({ username: "edge", password: "parent" }, "basic", CORP);
  await using folder = await makeFolder({ "proxy.config.ts": readRecipe("CORP_PASSWORD") });
  const serve = (password: string) => startExecutable({ cwd: folder.path, env: { CORP_PASSWORD: password } });
  const useWith = async (password: string, host: string): Promise<Tunnel> => {
    await using proxy = await serve(password);
    return await use(proxy, host);
  };
  const outside = await useWith("parent", SITE.name);
  const inside = await useWith("parent", INTRANET.name);
  const asked = squid.readUsers();
  const withoutPassword = await useWith("another", SITE.name);
  return { outside, inside, withoutPassword, squid: asked };
}

async function tryPool(): Promise<TaskResults["pool"]> {
  const exits = new Map<string, UpstreamProgram>();
  for (const host of EXITS) exits.set(host, await startMicrosocks(undefined, { host, port: 1080 }));
  try {
    await using folder = await makeFolder({
      "proxy.config.yaml": readRecipe("sticky: { by: session"),
      "users.htpasswd": `alice:${await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 })}\n`,
    });
    await using proxy = await startExecutable({ cwd: folder.path });
    const asSession = ["alice-session-a1", "secret"] as const;
    const session = await useOften(4, proxy, SITE.name, asSession);
    const others = await useOften(4, proxy, SITE.name, ["alice", "secret"]);
    const stranger = await use(proxy, SITE.name);
    const explain = ["explain", "example.org", "--user", "alice-session-a1"];
    const explained = (await runExecutable(explain, { cwd: folder.path })).stdout;
    const home = EXITS.find((host) => session[0]?.by.includes(host) === true) ?? "";
    await exits.get(home)?.[Symbol.asyncDispose]();
    exits.delete(home);
    const moved = await useOften(2, proxy, SITE.name, asSession);
    return { session, others, moved, stranger, explained };
  } finally {
    for (const exit of exits.values()) await exit[Symbol.asyncDispose]();
  }
}

if (import.meta.main) {
  const names = [SITE, INTRANET, { name: CORP.name, address: CORP.host }];
  await using _hosts = await nameHosts(Object.fromEntries(names.map(({ name, address }) => [name, address])), EXITS);
  using _site = listenEchoAt(SITE.address);
  using _intranet = listenEchoAt(INTRANET.address);
  // One after the other: both listen on the port of the recipe.
  const company = await tryCompany();
  const pool = await tryPool();
  process.stdout.write(JSON.stringify({ company, pool } satisfies TaskResults));
}
