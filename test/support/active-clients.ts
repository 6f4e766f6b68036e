import { connectRaw, type RawPeer } from "./raw-peer.ts";
import { writeProxyHeader } from "./address-flood.ts";

/** Connects as the client with an address, which asks for a tunnel to `target`; gives the status, and the connection without the head of the answer. */
async function connectFrom(
  port: number,
  address: string,
  target: string,
): Promise<{ readonly status: number; readonly peer: RawPeer }> {
  const peer = await connectRaw(port);
  peer.write(`${writeProxyHeader(address)}CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  await peer.until(({ text, end, closed }) => text.includes("\r\n\r\n") || end !== "open" || closed, "an answer");
  const status = Number(peer.text.slice(9, 12));
  peer.take();
  peer.receivedBytes = 0;
  return { status, peer };
}

/** A client that holds as many connections as it may, and uses them in turn. */
export class ActiveClient implements Disposable {
  readonly address: string;
  readonly #port: number;
  readonly #target: string;
  readonly #held: RawPeer[] = [];
  /** Milliseconds of each round trip through a tunnel since the last look. */
  roundTrips: number[] = [];
  /** Bytes that it has sent; as many came back. */
  sent = 0;

  private constructor(port: number, address: string, target: string) {
    this.#port = port;
    this.address = address;
    this.#target = target;
  }

  /** Opens all that it may have at once. `target` gives back what it gets. */
  static async open(port: number, address: string, target: string, connections: number): Promise<ActiveClient> {
    const client = new ActiveClient(port, address, target);
    for (let held = 0; held < connections; held += 1) {
      const { status, peer } = await connectFrom(port, address, target);
      client.#held.push(peer);
      if (status !== 200) throw new Error(`The tunnel ${held} of ${address} was refused with ${status}`);
    }
    return client;
  }

  /** The status of one connection more, which it may not have. */
  async tryAnother(): Promise<number> {
    const { status, peer } = await connectFrom(this.#port, this.address, this.#target);
    peer.reset();
    return status;
  }

  /** Sends 64 bytes through the tunnel that waits longest for its turn, and waits for them. */
  async useTunnel(): Promise<void> {
    const tunnel = this.#held.shift();
    if (tunnel === undefined) throw new Error("It holds no tunnel");
    this.#held.push(tunnel);
    const begun = performance.now();
    const wanted = tunnel.receivedBytes + MESSAGE.length;
    tunnel.write(MESSAGE);
    this.sent += MESSAGE.length;
    await tunnel.untilReceived(wanted);
    tunnel.take();
    this.roundTrips.push(performance.now() - begun);
  }

  [Symbol.dispose](): void {
    for (const peer of this.#held) peer.reset();
  }
}

const MESSAGE = "x".repeat(64);

/** What a client got that asked faster than its rate allows. */
export interface HastyReport {
  /** Tunnels that it got, and those that its rate refused. */
  readonly allowed: number;
  readonly refused: number;
  readonly seconds: number;
}

/** Asks for tunnels until one is refused, every `everyMs`, as the client with an address, until `isOver`. */
export async function askHastily(
  port: number,
  address: string,
  target: string,
  everyMs: number,
  isOver: () => boolean,
): Promise<HastyReport> {
  const begun = performance.now();
  let [allowed, refused] = [0, 0];
  const ask = async (): Promise<number> => {
    const { status, peer } = await connectFrom(port, address, target);
    peer.reset();
    return status;
  };
  for (;;) {
    let status = await ask();
    for (; status === 200; status = await ask()) allowed += 1;
    if (status !== 429) throw new Error(`${address} was told ${status}`);
    refused += 1;
    const next = performance.now() + everyMs;
    while (performance.now() < next && !isOver()) await Bun.sleep(20);
    if (isOver()) return { allowed, refused, seconds: (performance.now() - begun) / 1000 };
  }
}
