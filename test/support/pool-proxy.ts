import type { PenstockConfig } from "../../src/config/schema.ts";
import type { MemberState } from "../../src/proxy/upstream/pool-state.ts";
import { startProxy, type TestProxy, type TestProxyOptions } from "./proxy.ts";

type Upstreams = NonNullable<PenstockConfig["upstreams"]>;
export type PoolSettings = Extract<Upstreams[string], { pool: unknown }>;

/** A proxy whose default route is a pool. */
export function startPool(
  pool: PoolSettings,
  more: PenstockConfig = {},
  options: TestProxyOptions = {},
): Promise<TestProxy> {
  return startProxy({ upstreams: { exits: pool }, rules: [], default: "exits", ...more }, options);
}

/** Opens a tunnel, sees bytes come back through it, and closes it. */
export async function useTunnel(proxy: TestProxy, port: number): Promise<string> {
  const { peer, head } = await proxy.tunnel(`127.0.0.1:${port}`);
  if (head.startsWith("HTTP/1.1 200 ")) {
    peer.write("ping");
    await peer.untilText("ping");
  }
  peer.reset();
  return head;
}

/** The member number `at`, as operators see it. */
export function stateOf(proxy: TestProxy, at = 0): MemberState | undefined {
  return proxy.daemon.pools.describe()[0]?.members[at];
}

/** A rule that lets a test reach its own servers. */
export const rules = [{ to: ["127.0.0.0/8"], allowPrivate: true }];
