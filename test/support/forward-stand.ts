import { type ServingExecutable, startExecutable } from "./executable.ts";
import { type OriginPair, startOriginPair } from "./origin-pair.ts";
import { makeFolder } from "./temporary-folder.ts";
import { waitFor } from "./wait-for.ts";

/** Whose requests go straight to the origin, and whose through another Penstock. */
export type ForwardUser = "direct" | "chained";

/** Penstock with users on a plain listener and one with TLS, another one behind it, and two origins. */
export interface ForwardStand extends AsyncDisposable {
  readonly proxy: ServingExecutable;
  readonly upstream: ServingExecutable;
  readonly origins: OriginPair;
  /** The URL of the proxy with credentials, percent-encoded. `https` leads to the listener with TLS. */
  readonly proxyUrl: (scheme: string, user: ForwardUser, password?: string) => string;
  /** The records since there were `count` of them that are there already, once there are `wanted`. */
  readonly recordsSince: (count: number, wanted: number) => Promise<Record<string, unknown>[]>;
}

/** Characters that mean something in URLs, and in `user:password`. */
export const PASSWORD = "s3cret:@/%#";

const rule = { to: ["127.0.0.1", "::1", "localhost"], allowPrivate: true };

export async function startForwardStand(): Promise<ForwardStand> {
  await using stack = new AsyncDisposableStack();
  const origins = stack.use(await startOriginPair());
  const behind = stack.use(
    await makeFolder({
      "proxy.config.json": {
        listen: ["127.0.0.1:0"],
        users: [{ name: "edge", password: "up-s3cret" }],
        rules: [rule],
      },
    }),
  );
  const upstream = stack.use(await startExecutable({ cwd: behind.path }));
  const { cert, key } = await origins.authority.issue();
  const folder = stack.use(
    await makeFolder({
      "cert.pem": cert,
      "key.pem": key,
      "ca.pem": origins.authority.cert,
      "proxy.config.json": {
        listen: [
          { host: "127.0.0.1", port: 0 },
          { host: "127.0.0.1", port: 0, tls: { cert: "cert.pem", key: "key.pem" } },
        ],
        users: [
          { name: "direct", password: PASSWORD },
          { name: "chained", password: PASSWORD },
        ],
        upstreams: { next: { url: `http://127.0.0.1:${upstream.port}`, username: "edge", password: "up-s3cret" } },
        rules: [
          { name: "direct", users: ["direct"], ...rule },
          { name: "chained", users: ["chained"], ...rule, via: "next" },
        ],
        forward: { ca: "ca.pem" },
      },
    }),
  );
  const proxy = stack.use(await startExecutable({ cwd: folder.path }));
  const [plainPort, securePort] = await waitFor(() => proxy.ports.length === 2 && proxy.ports, "both listeners");
  const owned = stack.move();
  return {
    proxy,
    upstream,
    origins,
    proxyUrl(scheme, user, password = PASSWORD) {
      const port = scheme === "https" ? securePort : plainPort;
      return `${scheme}://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}`;
    },
    recordsSince: (count, wanted) =>
      waitFor(() => {
        const records = proxy.records.slice(count);
        return records.length >= wanted && records;
      }, `${wanted} records`),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
