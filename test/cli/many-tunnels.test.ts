import { expect, test } from "bun:test";
import { startExecutable } from "../support/executable.ts";
import { startLoadClient, startLoadOrigin } from "../support/load-processes.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

/** How many at once; 9,000 need `ulimit -n` of 10,000 for this program, and get 20,000 for the executable. */
const TUNNELS = Number(process.env["MANY_TUNNELS"] ?? 300);

const config = {
  // Its sockets and its CPU would be counted.
  warmUp: "off",
  listen: ["127.0.0.1:0"],
  rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
  log: { access: "json" },
};

test(`${TUNNELS} tunnels are carried at once, and leave nothing behind`, async () => {
  await using folder = await makeFolder({ "proxy.config.json": config });
  const descriptors = Math.ceil((TUNNELS * 20) / 9) + 200;
  await using proxy = await startExecutable({ cwd: folder.path, descriptors: Math.min(20_000, descriptors) });
  await using origin = await startLoadOrigin();
  const [atRest, rss] = [await proxy.countDescriptors(), await proxy.readRss()];
  await using client = await startLoadClient({
    port: proxy.port,
    originPort: origin.port,
    kind: "echo",
    tunnels: TUNNELS,
    messageBytes: 64,
    ms: TUNNELS > 1000 ? 10_000 : 500,
  });
  // What was open at rest may have been about to close.
  expect(await proxy.countDescriptors()).toBeGreaterThanOrEqual(2 * TUNNELS);
  const result = await client.finish();
  expect(result.failures).toBe(0);
  expect(result.units).toBeGreaterThan(TUNNELS);
  if (TUNNELS > 1000)
    console.log(
      `${TUNNELS} tunnels, ${Math.round(result.units / result.seconds)} round trips/s, p50 ${result.p50.toFixed(1)} ms, p99 ${result.p99.toFixed(1)} ms, ${(((await proxy.readRss()) - rss) / TUNNELS / 1000).toFixed(1)} KB each`,
    );
  await waitFor(() => proxy.stdout.split("\n").length - 1 === TUNNELS, "a record of each");
  expect(proxy.records.every((record) => record["status"] === 200 && Number(record["bytes_up"]) > 0)).toBe(true);
  // A lane keeps some pipes.
  expect(await proxy.countDescriptors()).toBeLessThan(atRest + 150);
}, 300_000);
