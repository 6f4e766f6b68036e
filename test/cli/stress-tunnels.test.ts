import { expect, test } from "bun:test";
import { AF_INET6, O_CLOEXEC, O_NONBLOCK, SOCK_STREAM } from "../../src/net/libc/constants.ts";
import { encodeSocketAddress } from "../../src/net/libc/socket-address.ts";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { type ServingExecutable, startExecutable } from "../support/executable.ts";
import { requireLibc } from "../support/lane-stand.ts";
import { makeIp } from "../support/make-policy.ts";
import { type DriveOptions, driveTunnel } from "../support/random-tunnel.ts";
import { connectRaw, listenRaw, type RawServer } from "../support/raw-peer.ts";
import { createRandom } from "../support/seeded-random.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { untilAtRest } from "../support/until-at-rest.ts";
import { waitFor } from "../support/wait-for.ts";

/** How long at least, until each kind of trouble was made once, and from which seed. With minutes, a line for each is printed. */
const SECONDS = Number(process.env["STRESS_MINUTES"] ?? 0.1) * 60;
const SEED = Number(process.env["STRESS_SEED"] ?? 1);
const WORKERS = 48;
const TOKEN = "stress-stress-stress-stress";
/** A name with an address of each family, in a hosts file that only the proxy sees. */
const RACED = "raced.test";
/** Whether this user may mount it. */
const canRace =
  Bun.which("unshare") !== null &&
  Bun.spawnSync(["unshare", "-m", "sh", "-c", "mount --bind /etc/hosts /etc/hosts"]).exitCode === 0;

const config = {
  // Its sockets and its CPU would be counted.
  warmUp: "off",
  listen: ["127.0.0.1:0"],
  rules: [{ to: ["127.0.0.1", "::1", RACED], allowPrivate: true }],
  sidecar: { port: 0, token: TOKEN },
  spliceAfter: "10KiB",
  log: { access: "off" },
};

type Random = ReturnType<typeof createRandom>;

/** Where a worker's tunnels lead. `deaf` has a port on which IPv6 never answers. */
interface Place {
  readonly proxy: ServingExecutable;
  readonly sidecar: string;
  readonly origin: RawServer;
  readonly deaf: RawServer | undefined;
  readonly random: Random;
}

type Job = (place: Place) => Promise<void>;

const jobs: readonly (readonly [number, string, Job])[] = [
  [60, "tunnels", (place) => carry(place, place.origin, "127.0.0.1")],
  [5, "fallbacks", (place) => carry(place, place.origin, canRace ? RACED : "127.0.0.1")],
  [1, "races", (place) => carry(place, place.deaf ?? place.origin, canRace ? RACED : "127.0.0.1")],
  [6, "kills", kill],
  [8, "refused dials", beRefused],
  [20, "vanishing clients", vanish],
];

test(
  "whatever others do, each tunnel gets its own bytes, all of them in order, and its own end",
  async () => {
    await using folder = await makeFolder({
      "proxy.config.json": config,
      hosts: `127.0.0.1 localhost ${RACED}\n::1 ${RACED}\n`,
    });
    const mount = `mount --bind '${folder.path}/hosts' /etc/hosts && exec "$0" "$@"`;
    const within = canRace ? ["unshare", "-m", "sh", "-c", mount] : [];
    await using proxy = await startExecutable({ cwd: folder.path, within });
    const sidecar = await proxy.sidecarUrl();
    await proxy.untilTold("Splicing ");
    const atRest = await proxy.countDescriptors();
    const counts: Record<string, number> = {};
    const end = performance.now() + SECONDS * 1000;
    const names = jobs.map(([, name]) => name);
    const goesOn = (): boolean => performance.now() < end || names.some((name) => counts[name] === undefined);
    const work = async (worker: number): Promise<void> => {
      const random = createRandom((SEED * 1000 + worker) * 7919);
      using origin = listenRaw();
      using deaf = canRace && worker % 4 === 0 ? listenDeaf() : undefined;
      while (goesOn()) {
        const [, name, job] = pick(random);
        await job({ proxy, sidecar, origin, deaf, random }).catch((error: unknown) => {
          throw new Error(`After ${JSON.stringify(counts)}, in ${name} of worker ${worker}: ${String(error)}`);
        });
        counts[name] = (counts[name] ?? 0) + 1;
      }
    };
    await Promise.all([
      ...Array.from({ length: WORKERS }, (_, worker) => work(worker)),
      disturb(proxy, sidecar, goesOn),
      report(counts, goesOn),
    ]);
    expect(proxy.told.filter((line) => line.includes("mistake") || line.includes("died"))).toEqual([]);
    await waitFor(async () => (await readTunnels(sidecar)).length === 0, "the end of all tunnels");
    await waitFor(async () => (await proxy.countDescriptors()) < atRest + 120, "the descriptors back");
    await untilAtRest(proxy.readCpuMs);
    proxy.signal("SIGTERM");
    expect(await proxy.exited).toBe(0);
  },
  (SECONDS + 240) * 1000,
);

function pick(random: Random): (typeof jobs)[number] {
  let left = random.below(jobs.reduce((sum, [weight]) => sum + weight, 0));
  for (const job of jobs) {
    left -= job[0];
    if (left < 0) return job;
  }
  throw new Error("The weights of jobs do not add up");
}

async function carry({ proxy, random }: Place, origin: RawServer, host: string, how?: DriveOptions): Promise<void> {
  const client = await openTunnel(proxy.port, `${host}:${origin.port}`);
  await driveTunnel(client, await origin.next(), random, { urgent: random.below(3) === 0, ...how });
}

/** A tunnel that is ended from outside, wherever it is then. */
function kill(place: Place): Promise<void> {
  const { origin, sidecar } = place;
  return carry(place, origin, "127.0.0.1", {
    async kill({ socket }) {
      const mine = (await readTunnels(sidecar)).find(({ client }) => client === `127.0.0.1:${socket.localPort}`);
      if (mine === undefined) throw new Error("The tunnel is not in the table");
      await ask(`${sidecar}/tunnels/${mine.id}`, "DELETE");
    },
  });
}

async function beRefused({ proxy, random }: Place): Promise<void> {
  const host = canRace && random.below(2) === 0 ? RACED : "127.0.0.1";
  const answer = await askInVain(proxy.port, `${host}:1`);
  if (!answer.startsWith("HTTP/1.1 502 ") || !answer.includes("connection_refused"))
    throw new Error(`A port on which nobody listens is said to be: ${answer.slice(0, 300)}`);
}

/** Clients that leave at any time, in any way. What they leave behind at the origin goes with them. */
async function vanish({ proxy, random }: Place): Promise<void> {
  using origin = listenRaw();
  const client = await connectRaw(proxy.port);
  const request = `CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n${"x".repeat(30_000)}`;
  client.write(request.slice(0, random.below(3) === 0 ? random.below(100) : request.length));
  if (random.below(2) === 0) await Bun.sleep(random.below(8));
  if (random.below(3) === 0) for (const peer of origin.accepted) peer.reset();
  client.reset();
}

interface ListedTunnel {
  readonly id: string;
  readonly client: string;
}

/** The sidecar has 16 connections for one address, and closes some where more are wanted. */
const turns = { free: 6, waiting: [] as (() => void)[] };

/** Asks the sidecar, on a connection of its own: a kept one could be closed just when it is used again. */
async function ask(url: string, method = "GET"): Promise<Response> {
  if (turns.free > 0) turns.free -= 1;
  else await new Promise<void>((resolve) => turns.waiting.push(resolve));
  const headers = { Authorization: `Bearer ${TOKEN}`, Connection: "close" };
  try {
    const response = await fetch(url, { method, headers, keepalive: false });
    if (!response.ok) throw new Error(`it gave ${response.status}`);
    // A capture goes on for long; everything else is read here, and its connection is over.
    return url.endsWith("/capture") ? response : new Response(await response.text());
  } catch (error) {
    throw new Error(`${method} ${url} failed: ${String(error)}`, { cause: error });
  } finally {
    const next = turns.waiting.shift();
    if (next === undefined) turns.free += 1;
    else next();
  }
}

async function readTunnels(sidecar: string): Promise<readonly ListedTunnel[]> {
  const response = await ask(`${sidecar}/tunnels`);
  return ((await response.json()) as { tunnels: ListedTunnel[] }).tunnels;
}

/**
 * Stops the proxy for a moment, so that it finds much at once when it goes on,
 * or captures all tunnels, which brings them back from their lanes.
 */
async function disturb(proxy: ServingExecutable, sidecar: string, goesOn: () => boolean): Promise<void> {
  const random = createRandom(SEED);
  while (goesOn()) {
    await Bun.sleep(random.below(100));
    if (random.below(5) === 0) {
      const end = await capture(sidecar);
      await Bun.sleep(random.below(100));
      await end();
    } else {
      proxy.signal("SIGSTOP");
      await Bun.sleep(random.below(50));
      proxy.signal("SIGCONT");
    }
  }
}

/** Starts a capture of all tunnels; what it gives ends it. */
async function capture(sidecar: string): Promise<() => Promise<void>> {
  const response = await ask(`${sidecar}/capture`);
  const reading = readOn(response);
  return async () => {
    await ask(`${sidecar}/capture/${response.headers.get("Capture-Id")}`, "DELETE");
    await reading;
  };
}

async function readOn(response: Response): Promise<void> {
  try {
    for await (const _ of response.body ?? []) continue;
  } catch {
    // Whether a capture is whole is not the matter here.
  }
}

async function report(counts: Readonly<Record<string, number>>, goesOn: () => boolean): Promise<void> {
  for (let seconds = 1; goesOn(); seconds += 1) {
    await Bun.sleep(1000);
    if (SECONDS >= 60 && seconds % 60 === 0) console.log(`${seconds} s: ${JSON.stringify(counts)}`);
  }
}

/** A server on IPv4 whose port is taken on IPv6 by one that takes no more connections, and so does not answer. */
function listenDeaf(): RawServer & Disposable {
  const server = listenRaw();
  const libc = requireLibc();
  const address = encodeSocketAddress(makeIp("::1"), server.port);
  const open = (): number => libc.socket(AF_INET6, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0);
  const fds = [open(), open(), open()];
  const [listener = -1, ...full] = fds;
  if (libc.bind(listener, address) < 0 || libc.listen(listener, 0) < 0) throw new Error("No port for a deaf server");
  // One more than its backlog.
  for (const fd of full) libc.connect(fd, address);
  return {
    ...server,
    [Symbol.dispose]() {
      for (const fd of fds) libc.close(fd);
      server[Symbol.dispose]();
    },
  };
}
