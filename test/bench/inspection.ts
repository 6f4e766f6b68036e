/**
 * What it costs to look at TLS handshakes: CPU of the proxy for CONNECT, a
 * handshake and close, with inspection on and off in one run.
 *
 *     bun test/bench/inspection.ts [rounds]
 *
 * A recorded handshake is replayed by both ends, so that no cryptography
 * disturbs the figures.
 */
import type { Socket } from "bun";
import { loadTlsFixture } from "../support/tls-fixture.ts";
import { readCpuSeconds } from "./measure.ts";
import { findFreePort, type RunningPeer } from "./peer.ts";
import { definePenstock } from "./peers/penstock.ts";
import { takeMedian } from "./report.ts";

const tunnelsAtOnce = 16;
const roundMs = 1000;

interface Turn {
  /** What this side waits for before it goes on: so many bytes in all. */
  readonly after: number;
  readonly say: Uint8Array;
}

/** What one side says, and when: after how many bytes of the other side. */
function listTurns(fixture: string, side: "client" | "server"): Turn[] {
  let heard = 0;
  const turns: Turn[] = [];
  for (const { from, bytes } of loadTlsFixture(fixture).segments) {
    if (from === side) turns.push({ after: heard, say: bytes });
    else heard += bytes.length;
  }
  return turns;
}

/** One side of a replayed connection. */
class Replay {
  #heard = 0;
  #turn = 0;
  readonly #turns: readonly Turn[];
  readonly #whole: number;

  /** `whole`: bytes of the other side after which all is said. */
  constructor(turns: readonly Turn[], whole: number) {
    this.#turns = turns;
    this.#whole = whole;
  }

  /** Says what is due after `bytes` more. Gives whether all was heard. */
  go(socket: { write(bytes: Uint8Array): number }, bytes: number): boolean {
    this.#heard += bytes;
    for (let turn = this.#turns[this.#turn]; turn !== undefined && turn.after <= this.#heard;) {
      socket.write(turn.say);
      this.#turn += 1;
      turn = this.#turns[this.#turn];
    }
    return this.#heard >= this.#whole;
  }
}

function countBytes(turns: readonly Turn[]): number {
  return turns.reduce((sum, { say }) => sum + say.length, 0);
}

function startOrigin(fixture: string): number {
  const turns = listTurns(fixture, "server");
  const server = Bun.listen<Replay>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = new Replay(turns, Infinity);
      },
      data(socket, chunk) {
        socket.data.go(socket, chunk.length);
      },
    },
  });
  return server.port;
}

/** Opens tunnel after tunnel for a while; gives how many came to their end. */
async function load(proxyPort: number, originPort: number, fixture: string, ms: number): Promise<number> {
  const turns = listTurns(fixture, "client");
  const whole = countBytes(listTurns(fixture, "server"));
  const request = Buffer.from(`CONNECT 127.0.0.1:${originPort} HTTP/1.1\r\nHost: 127.0.0.1:${originPort}\r\n\r\n`);
  const until = performance.now() + ms;
  let done = 0;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      let replay: Replay | undefined;
      Bun.connect({
        hostname: "127.0.0.1",
        port: proxyPort,
        socket: {
          open(socket) {
            socket.write(request);
          },
          data(socket: Socket, chunk) {
            if (replay === undefined) {
              if (!chunk.toString("latin1").startsWith("HTTP/1.1 200 ")) reject(new Error("The proxy refused"));
              replay = new Replay(turns, whole);
              replay.go(socket, 0);
            } else if (replay.go(socket, chunk.length)) {
              done += 1;
              socket.end();
            }
          },
          close: () => resolve(),
        },
      }).catch(reject);
    });
  await Promise.all(
    Array.from({ length: tunnelsAtOnce }, async () => {
      while (performance.now() < until) await one();
    }),
  );
  return done;
}

/** CPU microseconds of the proxy per tunnel. */
async function measure(peer: RunningPeer, originPort: number, fixture: string): Promise<number> {
  const before = readCpuSeconds(peer.pid);
  const tunnels = await load(peer.port, originPort, fixture, roundMs);
  return ((readCpuSeconds(peer.pid) - before) * 1e6) / tunnels;
}

const rounds = Number(process.argv[2] ?? 10);
for (const fixture of ["curl", "openssl-tls12-ecdhe-rsa"]) {
  const originPort = startOrigin(fixture);
  const origin = { port: findFreePort() };
  await using off = await definePenstock("off", { inspect: { tls: false } }).start(origin);
  await using on = await definePenstock("on", {}).start(origin);
  // Both warm, then in turns: what disturbs the machine disturbs both.
  await measure(off, originPort, fixture);
  await measure(on, originPort, fixture);
  const costs: { off: number[]; on: number[] } = { off: [], on: [] };
  for (let round = 0; round < rounds; round += 1) {
    const first = round % 2 === 0;
    if (first) costs.off.push(await measure(off, originPort, fixture));
    costs.on.push(await measure(on, originPort, fixture));
    if (!first) costs.off.push(await measure(off, originPort, fixture));
  }
  const more = takeMedian(costs.on.map((cost, round) => (cost / (costs.off[round] ?? cost) - 1) * 100));
  const [without, withIt] = [takeMedian(costs.off), takeMedian(costs.on)];
  process.stdout.write(
    `${fixture}: ${without.toFixed(0)} µs of CPU per tunnel without, ${withIt.toFixed(0)} µs with inspection; of pairs the median is ${more.toFixed(1)} % more\n`,
  );
}
process.exit(0);
