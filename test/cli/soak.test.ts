import { expect, test } from "bun:test";
import { openTunnel } from "../support/ask-tunnel.ts";
import { type ServingExecutable, startExecutable } from "../support/executable.ts";
import { driveTunnel } from "../support/random-tunnel.ts";
import { connectRaw, listenEcho, listenRaw, type RawServer } from "../support/raw-peer.ts";
import { createRandom } from "../support/seeded-random.ts";
import { makeFolder } from "../support/temporary-folder.ts";

/** How long, and how many at once. With minutes, a line for each is printed. */
const SECONDS = Number(process.env["SOAK_MINUTES"] ?? 0.05) * 60;
const WORKERS = 16;
const STANDING = 100;

/** What pipes of lanes, kept origin connections and the like may leave open after the load. */
const DESCRIPTORS_LEFT = 64;
/** How much more memory the last third may have in use than the first. The collector makes it go up and down. */
const GROWTH = 1.15;

type Random = ReturnType<typeof createRandom>;
/** A server of the worker's own: a port that is given back may be somebody else's in no time. */
type Job = (proxy: ServingExecutable, random: Random, origin: RawServer) => Promise<void>;

const config = {
  // Its sockets and its CPU would be counted.
  warmUp: "off",
  listen: [{ port: 0, protocols: ["http", "socks5"] }],
  rules: [
    { name: "never", to: ["127.0.0.66"], deny: true },
    { name: "tests", to: ["127.0.0.1"], allowPrivate: true },
  ],
  log: { access: "off" },
};

test(
  "mixed load leaves neither memory nor descriptors behind",
  async () => {
    await using folder = await makeFolder({ "proxy.config.json": config });
    await using proxy = await startExecutable({ cwd: folder.path });
    using echo = listenEcho();
    await using web = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => new Response(await request.arrayBuffer()),
    });
    const atRest = await proxy.countDescriptors();
    const jobs: readonly (readonly [number, Job])[] = [
      [50, carryRandomTunnel],
      [10, carryBulk],
      [10, (served, random) => fetchThrough(served, random, Number(web.port))],
      [10, (served) => pingBySocks(served, echo.port)],
      [10, beRefused],
      [10, (served, random) => vanish(served, random, echo.port)],
    ];
    const standing = await Promise.all(
      Array.from({ length: STANDING }, () => openTunnel(proxy.port, `127.0.0.1:${echo.port}`)),
    );
    const end = performance.now() + SECONDS * 1000;
    const done = { jobs: 0 };
    const work = async (worker: number): Promise<void> => {
      const random = createRandom((worker + 1) * 7919);
      using origin = listenRaw();
      while (performance.now() < end) {
        await pick(jobs, random)(proxy, random, origin);
        done.jobs += 1;
        await Bun.sleep(random.below(20));
      }
    };
    const samples: number[] = [];
    const look = async (): Promise<void> => {
      const period = Math.min(60_000, SECONDS * 100);
      while (performance.now() < end) {
        await Bun.sleep(Math.min(period, Math.max(1, end - performance.now())));
        // Nobody is to think that these are idle.
        for (const peer of standing) peer.write("touch");
        const [rss, descriptors] = [await proxy.readRss(), await proxy.countDescriptors()];
        samples.push(rss);
        if (SECONDS >= 60)
          console.log(
            `${new Date().toISOString()} ${done.jobs} jobs, RSS ${(rss / 1e6).toFixed(1)} MB, ${descriptors} descriptors`,
          );
      }
    };
    await Promise.all([look(), ...Array.from({ length: WORKERS }, (_, worker) => work(worker))]);
    for (const [at, peer] of standing.entries()) {
      peer.write(`still here ${at}`);
      await peer.untilText(`still here ${at}`);
      peer.finish();
    }
    await untilClosed(proxy, atRest + DESCRIPTORS_LEFT);
    const third = Math.floor(samples.length / 3);
    if (SECONDS >= 300) expect(average(samples.slice(-third))).toBeLessThan(GROWTH * average(samples.slice(0, third)));
    expect(done.jobs).toBeGreaterThan(WORKERS);
    expect(proxy.told.filter((line) => line.includes("mistake"))).toEqual([]);
    proxy.signal("SIGTERM");
    expect(await proxy.exited).toBe(0);
  },
  (SECONDS + 240) * 1000,
);

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function pick(jobs: readonly (readonly [number, Job])[], random: Random): Job {
  let left = random.below(jobs.reduce((sum, [weight]) => sum + weight, 0));
  for (const [weight, job] of jobs) {
    left -= weight;
    if (left < 0) return job;
  }
  throw new Error("The weights of jobs do not add up");
}

async function carryRandomTunnel(proxy: ServingExecutable, random: Random, origin: RawServer): Promise<void> {
  const client = await openTunnel(proxy.port, `127.0.0.1:${origin.port}`);
  await driveTunnel(client, await origin.next(), random);
}

/** Enough to leave the relay for a lane, with a reader that stops on the way. */
async function carryBulk(proxy: ServingExecutable, random: Random, origin: RawServer): Promise<void> {
  const client = await openTunnel(proxy.port, `127.0.0.1:${origin.port}`);
  const target = await origin.next();
  const total = 8_388_608;
  client.consume = () => undefined;
  client.pause();
  target.write(new Uint8Array(total));
  target.finish();
  await Bun.sleep(random.below(200));
  client.resume();
  await client.until((peer) => peer.receivedBytes === total, "all bytes");
  client.finish();
  await target.until((peer) => peer.closed, "the end");
}

async function fetchThrough(proxy: ServingExecutable, random: Random, port: number): Promise<void> {
  using client = await connectRaw(proxy.port);
  for (let round = 1 + random.below(5); round > 0; round -= 1) {
    client.take();
    const body = "b".repeat(1 + random.below(20_000));
    client.write(
      `POST http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await client.until((peer) => peer.text.endsWith(body), "the body again");
  }
}

async function pingBySocks(proxy: ServingExecutable, port: number): Promise<void> {
  using client = await connectRaw(proxy.port);
  client.write(Uint8Array.of(5, 1, 0));
  await client.until((peer) => peer.receivedBytes === 2, "a method");
  client.write(Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff));
  await client.until((peer) => peer.receivedBytes === 12, "an answer");
  client.write("ping");
  await client.until((peer) => peer.text.endsWith("ping"), "an echo");
}

async function beRefused(proxy: ServingExecutable, random: Random): Promise<void> {
  const requests = [
    "CONNECT 127.0.0.66:443 HTTP/1.1\r\nHost: 127.0.0.66:443\r\n\r\n",
    "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n",
    "NONSENSE\r\n\r\n",
    `GET / HTTP/1.1\r\nHost: a\r\n\r\n${"x".repeat(20_000)}`,
  ];
  using client = await connectRaw(proxy.port);
  client.write(requests[random.below(requests.length)] ?? "");
  await client.until((peer) => peer.end !== "open", "a refusal");
}

/** Clients that leave at any time, in any way. */
async function vanish(proxy: ServingExecutable, random: Random, port: number): Promise<void> {
  const client = await connectRaw(proxy.port);
  const request = `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\nhello`;
  client.write(request.slice(0, random.below(request.length + 1)));
  if (random.below(2) === 0) await Bun.sleep(random.below(5));
  if (random.below(2) === 0) client.reset();
  else client.finish();
  await Bun.sleep(random.below(50));
  client[Symbol.dispose]();
}

async function untilClosed(proxy: ServingExecutable, most: number): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (let count = Infinity; count > most; count = await proxy.countDescriptors()) {
    if (performance.now() > deadline) throw new Error(`${count} descriptors are still open, ${most} may be`);
    await Bun.sleep(20);
  }
}
