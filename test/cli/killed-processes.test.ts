import { expect, test } from "bun:test";
import { openTunnel } from "../support/ask-tunnel.ts";
import { type ServingExecutable, startExecutable } from "../support/executable.ts";
import { startLoadClient, startLoadOrigin } from "../support/load-processes.ts";
import { listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const TUNNELS = 8;
const config = { listen: ["127.0.0.1:0"], rules: [{ to: ["127.0.0.1"], allowPrivate: true }], warmUp: "off" };

/** Two tunnels of others: one that has hardly been used, and one that the kernel carries. */
async function openBystanders(proxy: ServingExecutable, port: number): Promise<RawPeer[]> {
  const peers = await Promise.all([0, 1].map(() => openTunnel(proxy.port, `127.0.0.1:${port}`)));
  peers[1]?.write(new Uint8Array(4 * 1_048_576));
  await peers[1]?.untilReceived(4 * 1_048_576);
  return peers;
}

async function expectUntouched(bystanders: readonly RawPeer[]): Promise<void> {
  for (const peer of bystanders) {
    peer.take();
    peer.write("still here");
    await peer.untilText("still here");
  }
}

test("a client that is killed ends its own tunnels, each with a record, and no other", async () => {
  await using folder = await makeFolder({ "proxy.config.json": config });
  await using proxy = await startExecutable({ cwd: folder.path });
  using echo = listenEcho();
  const bystanders = await openBystanders(proxy, echo.port);
  await using origin = await startLoadOrigin();
  const order = { port: proxy.port, originPort: origin.port, tunnels: TUNNELS, messageBytes: 0, ms: 60_000 };
  // Floods, so that there are bytes which it has not read: the kernel resets such connections.
  await using client = await startLoadClient({ ...order, kind: "down" });
  await client.kill();
  const records = await untilRecorded(proxy, origin.port);
  expect(new Set(records.map((record) => record["end"]))).toEqual(new Set(["client_reset"]));
  expect(records.every((record) => Number(record["bytes_down"]) > 0)).toBe(true);
  await expectUntouched(bystanders);
  expect(await proxy.countDescriptors()).toBeLessThan(100);
});

test("an origin that is killed ends its own tunnels, each with a record, and no other", async () => {
  await using folder = await makeFolder({ "proxy.config.json": config });
  await using proxy = await startExecutable({ cwd: folder.path });
  using echo = listenEcho();
  const bystanders = await openBystanders(proxy, echo.port);
  await using origin = await startLoadOrigin();
  const order = { port: proxy.port, originPort: origin.port, tunnels: TUNNELS, messageBytes: 0, ms: 60_000 };
  // What it has not read makes the kernel reset its connections, too.
  await using client = await startLoadClient({ ...order, kind: "up" });
  const working = client.finish().catch(() => undefined);
  await origin.kill();
  const records = await untilRecorded(proxy, origin.port);
  // Where everything was read there is a FIN instead, and then the client's own end.
  const ends = records.map((record) => String(record["end"]));
  expect(ends.filter((end) => !["target_reset", "client_reset", "closed"].includes(end))).toEqual([]);
  expect(records.every((record) => Number(record["bytes_up"]) > 0)).toBe(true);
  await expectUntouched(bystanders);
  await expect(openTunnel(proxy.port, `127.0.0.1:${origin.port}`)).rejects.toThrow("connection_refused");
  await client.kill();
  await working;
});

async function untilRecorded(proxy: ServingExecutable, port: number): Promise<Record<string, unknown>[]> {
  const list = (): Record<string, unknown>[] =>
    proxy.records.filter((record) => record["target"] === `127.0.0.1:${port}`);
  await waitFor(() => list().length === TUNNELS, "the records of all tunnels");
  return list();
}
