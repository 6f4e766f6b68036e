import { expect, test } from "bun:test";
import { startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenEcho, type RawPeer } from "../support/raw-peer.ts";

/** Sends rounds of bytes until a lane carries the tunnel; gives how many that were. */
async function pumpUntilSpliced({ daemon }: TestProxy, peer: RawPeer): Promise<number> {
  const chunk = Buffer.alloc(32 * 1024, "x");
  const before = daemon.lanes?.status().tunnels ?? 0;
  for (let sent = chunk.length; sent <= 256 * 1024 * 1024; sent += chunk.length) {
    peer.write(chunk);
    await peer.untilReceived(sent);
    if (daemon.lanes?.status().tunnels === before + 1) return sent;
  }
  throw new Error("No lane took the tunnel over");
}

test("a lane that dies takes its own tunnels with it and no other, and each is recorded", async () => {
  using echo = listenEcho();
  await using proxy = await startProxy({ spliceAfter: "64KiB" });
  const target = `127.0.0.1:${echo.port}`;
  const quiet = await proxy.tunnel(target);
  const long = await proxy.tunnel(target);
  const sent = await pumpUntilSpliced(proxy, long.peer);

  expect(proxy.daemon.lanes?.crashOne()).toBe(true);
  await long.peer.untilEnd();
  expect(long.peer.end).toBe("reset");
  expect(await proxy.record()).toMatchObject({ end: "lane_lost", bytes_up: sent, bytes_down: sent, status: 200 });
  expect(proxy.messages.filter((message) => message.startsWith("A splice lane died"))).toHaveLength(1);
  expect(await proxy.metrics()).toContain('penstock_tunnels_total{end="lane_lost"} 1');

  quiet.peer.write("still here");
  await quiet.peer.untilText("still here");
  quiet.peer.finish();
  await quiet.peer.untilEnd();
  expect(await proxy.record(1)).toMatchObject({ end: "closed", bytes_up: 10, bytes_down: 10 });

  // Another lane is there for those who come after.
  await waitFor(() => proxy.daemon.lanes?.hasRoom(), "another lane");
  const next = await proxy.tunnel(target);
  await pumpUntilSpliced(proxy, next.peer);
  next.peer.finish();
  await next.peer.untilEnd();
  expect(await proxy.record(2)).toMatchObject({ end: "closed" });
});
