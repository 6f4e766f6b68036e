import { expect } from "bun:test";
import { type FakeSuccessor, startFakes } from "./fake-successor.ts";
import { startProxy, type TestProxy, type TestProxyOptions } from "./proxy.ts";

export type Config = Parameters<typeof startProxy>[0];

/** A proxy whose successors `play` plays. */
export function startOld(play: (fake: FakeSuccessor) => unknown, config: Config = {}): Promise<TestProxy> {
  return startProxy(config, successorsOf(play));
}

export function successorsOf(play: (fake: FakeSuccessor) => unknown): TestProxyOptions {
  return { daemon: { successors: { start: startFakes(play), onHandedOver: () => {}, onResumed: () => {} } } };
}

/** Serves a tunnel to an echo server, and is ready. */
export async function expectServes(proxy: TestProxy, target: number): Promise<void> {
  expect((await proxy.ask("/readyz")).status).toBe(200);
  const { peer } = await proxy.tunnel(`127.0.0.1:${target}`);
  peer.write("served");
  await peer.untilText("served");
  peer[Symbol.dispose]();
}
