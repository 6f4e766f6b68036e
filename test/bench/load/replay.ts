import type { Socket, TCPSocketListener } from "bun";
import { loadTlsFixture } from "../../support/tls-fixture.ts";

/** What one side of a recorded connection says, and after how many bytes of the other side. */
interface Turn {
  readonly after: number;
  readonly say: Uint8Array;
}

/** What goes over each tunnel: a recorded handshake, and then as many bytes from the server. */
export interface ReplayOrder {
  readonly fixture: string;
  readonly bulkBytes: number;
}

/** TLS records of application data, as many as go into a write. */
const block = makeRecords(16);

function makeRecords(count: number): Uint8Array {
  const record = new Uint8Array(5 + 16_384);
  record.set([23, 3, 3, 0x40, 0]);
  return Buffer.concat(Array.from({ length: count }, () => record));
}

function listTurns(fixture: string, side: "client" | "server"): Turn[] {
  let heard = 0;
  const turns: Turn[] = [];
  for (const { from, bytes } of loadTlsFixture(fixture).segments) {
    if (from === side) turns.push({ after: heard, say: bytes });
    else heard += bytes.length;
  }
  return turns;
}

function countBytes(turns: readonly Turn[]): number {
  return turns.reduce((sum, { say }) => sum + say.length, 0);
}

/** One side of a connection. */
class Replay {
  heard = 0;
  readonly #turns: readonly Turn[];
  #turn = 0;
  #bulk: number;

  constructor(turns: readonly Turn[], bulk = 0) {
    this.#turns = turns;
    this.#bulk = bulk;
  }

  /** Says what is due. The turns are small enough for any socket's buffer; the bulk goes on when there is room. */
  go(socket: Pick<Socket<unknown>, "write">): void {
    for (let turn = this.#turns[this.#turn]; turn !== undefined && turn.after <= this.heard;) {
      socket.write(turn.say);
      this.#turn += 1;
      turn = this.#turns[this.#turn];
    }
    if (this.#turn < this.#turns.length) return;
    while (this.#bulk > 0) {
      const some = block.subarray(0, Math.min(block.length, this.#bulk));
      const written = socket.write(some);
      this.#bulk -= written;
      if (written < some.length) return;
    }
  }
}

/** Listens, and plays the server's part on each connection. */
export function startReplayOrigin({ fixture, bulkBytes }: ReplayOrder): TCPSocketListener<Replay> {
  const turns = listTurns(fixture, "server");
  return Bun.listen<Replay>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = new Replay(turns, bulkBytes);
      },
      data(socket, chunk) {
        socket.data.heard += chunk.length;
        socket.data.go(socket);
      },
      drain(socket) {
        socket.data.go(socket);
      },
    },
  });
}

/** Opens tunnel after tunnel through a proxy, `atOnce` of them at any time and `count` in all. Throws when one fails. */
export async function replayTunnels(
  proxyPort: number,
  originPort: number,
  order: ReplayOrder,
  { count, atOnce }: { readonly count: number; readonly atOnce: number },
): Promise<void> {
  const turns = listTurns(order.fixture, "client");
  const whole = countBytes(listTurns(order.fixture, "server")) + order.bulkBytes;
  const request = Buffer.from(`CONNECT 127.0.0.1:${originPort} HTTP/1.1\r\nHost: 127.0.0.1:${originPort}\r\n\r\n`);
  const replayOne = async (): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let replay: Replay | undefined;
    await Bun.connect({
      hostname: "127.0.0.1",
      port: proxyPort,
      socket: {
        open(socket) {
          socket.write(request);
        },
        data(socket, chunk) {
          if (replay === undefined) {
            const answer = chunk.toString("latin1");
            if (!answer.startsWith("HTTP/1.1 200 ")) reject(new Error(`The proxy answered ${JSON.stringify(answer)}.`));
            replay = new Replay(turns);
          } else replay.heard += chunk.length;
          replay.go(socket);
          if (replay.heard >= whole) socket.end();
        },
        close() {
          if (replay?.heard === whole) resolve();
          else reject(new Error(`A tunnel ended after ${replay?.heard ?? "no"} of ${whole} bytes.`));
        },
      },
    });
    await promise;
  };
  let left = count;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (; left > 0;) {
        left -= 1;
        await replayOne();
      }
    }),
  );
}
