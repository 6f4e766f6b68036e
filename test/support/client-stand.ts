import { isInstalled } from "./needs.ts";
import { type ServingExecutable, startExecutable } from "./executable.ts";
import { makeFolder } from "./temporary-folder.ts";
import { startTlsOrigin, type TlsOrigin } from "./tls-origin.ts";
import {
  type Login,
  startDanted,
  startMicrosocks,
  startSquid,
  startTinyproxy,
  type UpstreamProgram,
} from "./upstream-programs.ts";

/** The ways from a client to the server, and the program that has to be installed for each. */
export const ways = [
  { way: "direct", needs: [] },
  { way: "penstock", needs: [] },
  { way: "squid", needs: ["squid", "htpasswd"] },
  { way: "tinyproxy", needs: ["tinyproxy"] },
  { way: "microsocks", needs: ["microsocks"] },
  { way: "danted", needs: ["danted"] },
] as const satisfies readonly { way: string; needs: readonly string[] }[];

export type Way = (typeof ways)[number]["way"];

/** Everything that a client program needs to get through Penstock: which way it goes, its user says. */
export interface ClientStand extends AsyncDisposable {
  readonly proxy: ServingExecutable;
  readonly origin: TlsOrigin;
  /** A folder of this stand's own. */
  readonly folder: string;
  /** The user whose connections go this way. */
  readonly user: (way: Way) => Login;
  /** Credentials in a URL, percent-encoded. */
  readonly proxyUrl: (way: Way, password?: string) => string;
  /** URL of the upstream of this way, without credentials. */
  readonly upstreamUrl: (way: Exclude<Way, "direct">) => string;
  /** The records of tunnels that went this way so far, in order. */
  readonly tunnels: (way: Way) => Record<string, unknown>[];
}

/** Characters that mean something in URLs, and in `user:password`. */
const PASSWORD = "s3cret:@/%#";

/** What the upstreams ask of Penstock: tinyproxy's file allows no more than this. */
const upstreamLogin: Login = { username: "edge", password: "up-s3cret.42" };

const loopback = { to: ["127.0.0.1", "localhost"], allowPrivate: true };

/** Starts a server, every upstream that is installed, and Penstock in front of them. */
export async function startClientStand(repositories?: string): Promise<ClientStand> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await makeFolder());
  const origin = stack.use(await startTlsOrigin(repositories));
  const starting = ways.map(async ({ way, needs }) => {
    if (way === "direct" || !needs.every(isInstalled)) return undefined;
    return { way, upstream: await upstreamStarts[way]() };
  });
  const started = (await Promise.all(starting)).flatMap((entry) => entry ?? []);
  for (const { upstream } of started) stack.use(upstream);
  const upstreams = Object.fromEntries(
    started.map(({ way, upstream }) => [way, { url: upstream.url, ...(way !== "danted" && upstreamLogin) }]),
  );
  await folder.write({
    "proxy.config.json": {
      listen: ["127.0.0.1:0"],
      users: ways.map(({ way }) => ({ name: `via-${way}`, password: PASSWORD })),
      upstreams,
      rules: [
        { name: "direct", users: ["via-direct"], ...loopback },
        ...started.map(({ way }) => ({ name: way, users: [`via-${way}`], ...loopback, via: way })),
      ],
    },
  });
  const proxy = stack.use(await startExecutable({ cwd: folder.path }));
  const owned = stack.move();
  return {
    proxy,
    origin,
    folder: folder.path,
    user: (way) => ({ username: `via-${way}`, password: PASSWORD }),
    proxyUrl: (way, password = PASSWORD) => `http://via-${way}:${encodeURIComponent(password)}@127.0.0.1:${proxy.port}`,
    upstreamUrl(way) {
      const found = started.find((entry) => entry.way === way);
      if (found === undefined) throw new Error(`There is no ${way}`);
      return found.upstream.url;
    },
    tunnels: (way) => proxy.records.filter((record) => record["route"] === way && record["stage"] === "tunnel"),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const upstreamStarts: Record<Exclude<Way, "direct">, () => Promise<UpstreamProgram>> = {
  penstock: startPenstock,
  squid: () => startSquid(upstreamLogin),
  tinyproxy: () => startTinyproxy(upstreamLogin),
  microsocks: () => startMicrosocks(upstreamLogin),
  danted: startDanted,
};

/** A second Penstock, with users of its own. */
async function startPenstock(): Promise<UpstreamProgram> {
  const { username, password } = upstreamLogin;
  const folder = await makeFolder({
    "proxy.config.json": { listen: ["127.0.0.1:0"], users: [{ name: username, password }], rules: [loopback] },
  });
  const upstream = await startExecutable({ cwd: folder.path });
  return {
    url: `http://127.0.0.1:${upstream.port}`,
    port: upstream.port,
    async [Symbol.asyncDispose]() {
      await upstream[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
