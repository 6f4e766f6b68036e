import type { Socket } from "bun";

/** What a flood of client addresses did. */
export interface FloodReport {
  /** Answers by status. */
  readonly answers: ReadonlyMap<number, number>;
  /** Connections that ended without an answer. */
  readonly unanswered: number;
}

export interface FloodOptions {
  /** Of a listener that expects a PROXY header from loopback. */
  readonly port: number;
  /** Addresses, each with one connection. */
  readonly addresses: number;
  /** Connections at once: fewer than the backlog of the listener holds. */
  readonly inFlight?: number;
  /** What the address of this number asks for: the target of a CONNECT. */
  readonly targetOf: (number: number) => string;
  /** The flood ends before its last address when this says so. */
  readonly isOver?: () => boolean;
  /** Is told how many addresses have come. */
  readonly progress?: (done: number) => void;
}

interface Visit {
  readonly number: number;
  answered: boolean;
}

/** The client address of a number, below 2^24: every third one is IPv6, in a /64 of its own. */
function addressOf(number: number): string {
  const [high, middle, low] = [(number >> 16) & 255, (number >> 8) & 255, number & 255];
  return number % 3 === 0
    ? `2001:db8:${high.toString(16)}:${(number & 0xffff).toString(16)}::1`
    : `10.${high}.${middle}.${low}`;
}

/** The PROXY header of a client. */
export function writeProxyHeader(address: string): string {
  return address.includes(":")
    ? `PROXY TCP6 ${address} 2001:db8:ffff::1 4711 8080\r\n`
    : `PROXY TCP4 ${address} 198.51.100.1 4711 8080\r\n`;
}

/**
 * Connects once from each of so many client addresses, as a load balancer would
 * say, asks for a tunnel, and resets the connection after the answer: a reset
 * leaves no port behind that waits for its time.
 */
export async function floodAddresses(options: FloodOptions): Promise<FloodReport> {
  const { port, addresses, inFlight = 64, targetOf, isOver = () => false, progress } = options;
  const answers = new Map<number, number>();
  let [next, unanswered, done] = [0, 0, 0];
  const ended = Promise.withResolvers<void>();
  let open = 0;
  const leave = (): void => {
    open -= 1;
    done += 1;
    progress?.(done);
    // Not from within the event of a socket: connecting at once may fail at once.
    queueMicrotask(enter);
  };
  const enter = (): void => {
    while (open < inFlight && next < addresses && !isOver()) {
      const number = next;
      next += 1;
      open += 1;
      void connect({ number, answered: false });
    }
    if (open === 0) ended.resolve();
  };
  const socket = {
    open(made: Socket<Visit>) {
      const { number } = made.data;
      const target = targetOf(number);
      made.write(`${writeProxyHeader(addressOf(number))}CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    },
    data(from: Socket<Visit>, bytes: Uint8Array) {
      if (from.data.answered) return;
      from.data.answered = true;
      const status = Number(Buffer.from(bytes.buffer, bytes.byteOffset, 12).toString("latin1").slice(9));
      answers.set(status, (answers.get(status) ?? 0) + 1);
      from.terminate();
    },
    close(from: Socket<Visit>) {
      if (!from.data.answered) unanswered += 1;
      leave();
    },
    error() {
      // Its close follows.
    },
  };
  const connect = async (visit: Visit): Promise<void> => {
    try {
      await Bun.connect({ hostname: "127.0.0.1", port, data: visit, socket });
    } catch {
      unanswered += 1;
      leave();
    }
  };
  enter();
  await ended.promise;
  return { answers, unanswered };
}
