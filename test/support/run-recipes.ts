import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type CertificateAuthority, makeAuthority } from "./certificate-authority.ts";
import { type ConnectUpstream, startConnectUpstream } from "./connect-upstream.ts";
import { type ServingExecutable, startExecutable } from "./executable.ts";
import { listenEchoAt, nameHosts } from "./named-hosts.ts";
import { basic } from "./proxy.ts";
import { connectRaw } from "./raw-peer.ts";
import { makeFolder } from "./temporary-folder.ts";

/** Where this file is, to be run within namespaces of its own. */
export const runner = import.meta.path;

/** What was seen of one recipe. */
export interface RecipeResult {
  readonly recipe: string;
  /** The members that carried connections, step by step. */
  readonly steps: readonly (readonly string[])[];
  /** What the operator was told of upstreams. */
  readonly told: readonly string[];
}

/** A target that is public for the proxy, on this namespace's loopback. */
const TARGET = "site.test";
const TARGET_ADDRESS = "93.184.215.14";
/** A target within the company, and the server of its PAC file. */
const INTRANET = "wiki.corp.example";
const INTRANET_ADDRESS = "10.1.0.20";
const PAC_SERVER = "pac.corp.example";
const HOSTS: Readonly<Record<string, string>> = {
  "proxy.corp.example": "10.1.0.1",
  "east-1.example": "10.2.0.1",
  "east-2.example": "10.2.0.2",
  "west-1.example": "10.3.0.1",
  "west-2.example": "10.3.0.2",
  [PAC_SERVER]: "10.1.0.9",
  [INTRANET]: INTRANET_ADDRESS,
  "proxy-1.corp.example": "10.1.0.2",
  "proxy-2.corp.example": "10.1.0.3",
  [TARGET]: TARGET_ADDRESS,
};
const EXITS = ["10.0.0.7", "10.0.0.8", "10.0.0.9"];
const variables = { CORP_PASSWORD: "parent", ALICE_PASSWORD: "a", BOB_PASSWORD: "b" };

/** The code in a language below a heading of docs/upstreams.md, as it is written there. */
function readRecipe(heading: string, language = "ts"): string {
  const page = readFileSync(join(import.meta.dir, "../../docs/upstreams.md"), "utf8");
  const [, section = ""] = page.split(`\n## Recipe: ${heading}\n`);
  const code = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "ms").exec(section.split("\n## ", 1)[0] ?? "")?.[1];
  if (code === undefined) throw new Error(`There is no recipe ${heading}`);
  return code;
}

/** Upstreams by name or address, which can be ended and started again. */
class Parents implements AsyncDisposable {
  readonly #running = new Map<string, ConnectUpstream>();

  async start(...names: string[]): Promise<void> {
    for (const name of names)
      this.#running.set(name, await startConnectUpstream(undefined, { host: HOSTS[name] ?? name, port: 3128 }));
  }

  async end(...names: string[]): Promise<void> {
    for (const name of names) await this.#running.get(name)?.[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end(...this.#running.keys());
  }
}

/** Opens tunnels one after the other. Gives the members that carried them, why there was none, or a route without members. */
async function use(proxy: ServingExecutable, count: number, user?: string, target = TARGET): Promise<string[]> {
  const seen: string[] = [];
  for (let at = 0; at < count; at++) {
    const before = proxy.records.length;
    using peer = await connectRaw(8080);
    const login = user === undefined ? {} : basic(user, user.slice(0, 1));
    const fields = Object.entries(login).map(([name, value]) => `${name}: ${value}\r\n`);
    peer.write(`CONNECT ${target}:443 HTTP/1.1\r\nHost: ${target}:443\r\n${fields.join("")}\r\n`);
    await peer.untilText("\r\n\r\n");
    if (peer.text.startsWith("HTTP/1.1 200 ")) {
      peer.write("ping");
      await peer.untilText("ping");
    }
    peer.finish();
    await peer.untilEnd();
    const deadline = performance.now() + 60_000;
    while (proxy.records.length === before && performance.now() < deadline) await Bun.sleep(5);
    const record = proxy.records[before];
    seen.push(String(record?.["member"] ?? record?.["detail"] ?? record?.["route"]));
  }
  return seen;
}

/** Uses the proxy until a member carries a connection; at most a minute. */
async function useUntil(proxy: ServingExecutable, part: string, user?: string): Promise<string[]> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const seen = await use(proxy, 1, user);
    if (seen[0]?.includes(part) === true || performance.now() > deadline) return seen;
    await Bun.sleep(100);
  }
}

const PAC_RECIPE = "what the PAC file of the company says";

type Steps = (proxy: ServingExecutable, parents: Parents) => Promise<string[][]>;

const recipes: Readonly<Record<string, Steps>> = {
  "a corporate parent with fall-back to direct": async (proxy, parents) => {
    const name = "proxy.corp.example";
    await parents.start(name);
    const steps = [await useUntil(proxy, name)];
    await parents.end(name);
    steps.push(await use(proxy, 3));
    await parents.start(name);
    return [...steps, await useUntil(proxy, name)];
  },
  "exits that rotate, and stay with a user": async (proxy, parents) => {
    await parents.start(...EXITS);
    const steps = [await use(proxy, 4, "alice"), await use(proxy, 4, "bob")];
    await parents.end(/10\.0\.0\.[0-9]/.exec(steps[0]?.[0] ?? "")?.[0] ?? "");
    return [...steps, await use(proxy, 3, "alice"), await use(proxy, 2, "bob")];
  },
  "two data centres with backup": async (proxy, parents) => {
    const east = ["east-1.example", "east-2.example"];
    await parents.start(...east, "west-1.example", "west-2.example");
    const steps = [await use(proxy, 4)];
    await parents.end("east-1.example");
    steps.push(await use(proxy, 2));
    await parents.end("east-2.example");
    steps.push(await use(proxy, 3));
    await parents.start(...east);
    return [...steps, await useUntil(proxy, "east")];
  },
  [PAC_RECIPE]: async (proxy, parents) => {
    const names = ["proxy-1.corp.example", "proxy-2.corp.example"] as const;
    await parents.start(...names);
    const steps = [await use(proxy, 2), await use(proxy, 1, undefined, INTRANET)];
    for (const name of names) {
      await parents.end(name);
      steps.push(await use(proxy, 2));
    }
    await parents.start(...names);
    return [...steps, await useUntil(proxy, `:3128/${names[0]}:3128`)];
  },
};

/** The recipes that can be run. */
export const recipeNames: readonly string[] = Object.keys(recipes);

async function tryRecipe(recipe: string, run: Steps, authority: CertificateAuthority): Promise<RecipeResult> {
  await using folder = await makeFolder({ "proxy.config.ts": readRecipe(recipe), "corp-ca.pem": authority.cert });
  await using parents = new Parents();
  await using proxy = await startExecutable({ cwd: folder.path, env: variables });
  const steps = await run(proxy, parents);
  return { recipe, steps, told: proxy.told.filter((line) => line.includes("Upstream ")) };
}

if (import.meta.main) {
  await using _hosts = await nameHosts(HOSTS, EXITS);
  // Upstreams of tests lead to loopback, whatever they are asked for.
  using _loopback = listenEchoAt("127.0.0.1");
  using _target = listenEchoAt(TARGET_ADDRESS);
  using _intranet = listenEchoAt(INTRANET_ADDRESS);
  await using authority = await makeAuthority();
  await using _pac = Bun.serve({
    hostname: HOSTS[PAC_SERVER] ?? PAC_SERVER,
    port: 443,
    tls: await authority.issue({ names: [`DNS:${PAC_SERVER}`] }),
    fetch: ({ url }) => new Response(readRecipe(PAC_RECIPE, "js"), { status: url.endsWith("/proxy.pac") ? 200 : 404 }),
  });
  const recipe = process.argv[2] ?? "";
  const run = recipes[recipe];
  if (run === undefined) throw new Error(`There is no recipe ${recipe}`);
  process.stdout.write(JSON.stringify(await tryRecipe(recipe, run, authority)));
}
