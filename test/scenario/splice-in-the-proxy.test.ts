import { expect, test } from "bun:test";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { listenEcho, type RawPeer } from "../support/raw-peer.ts";

/** Sends rounds of bytes until the proxy says that a lane carries the tunnel. */
async function pumpUntilSpliced(proxy: TestProxy, peer: RawPeer): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024, "x");
  for (let sent = chunk.length; sent <= 256 * 1024 * 1024; sent += chunk.length) {
    peer.write(chunk);
    await peer.untilReceived(sent);
    if ((await proxy.metrics()).includes("\npenstock_splice_tunnels 1\n")) return sent;
  }
  throw new Error("No lane took the tunnel over");
}

test.skipIf(process.platform !== "linux")(
  "a long tunnel is carried by the kernel, and recorded like any other",
  async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ spliceAfter: "64KiB" });
    expect(proxy.daemon.splicing).toContain("Splicing after 65536 bytes");
    expect(await proxy.metrics()).toContain("\npenstock_splice_available 1\n");

    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    const sent = await pumpUntilSpliced(proxy, peer);
    peer.write("last words");
    await peer.untilText("last words");
    peer.finish();
    await peer.untilEnd();
    expect(await proxy.record()).toMatchObject({ end: "closed", bytes_up: sent + 10, bytes_down: sent + 10 });
  },
);

test("with splicing off every tunnel stays in the relay", async () => {
  using echo = listenEcho();
  await using proxy = await startProxy({ splice: "off" });
  expect(proxy.daemon.splicing).toBe('Splicing is off: "splice" says so.');
  const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
  const bytes = Buffer.alloc(4 * 1024 * 1024, "y");
  peer.write(bytes);
  await peer.untilReceived(bytes.length);
  expect(await proxy.metrics()).toContain("\npenstock_splice_tunnels 0\n");
});
