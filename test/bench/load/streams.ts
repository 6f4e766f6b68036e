import type { Socket } from "bun";

/** Streams of bytes in one direction through a proxy, as fast as it takes them. */
export interface Streams {
  /** Bytes of each stream that have arrived, in the order in which they were opened. */
  bytes(): number[];
  /** Opens another one. */
  open(): Promise<void>;
  end(): void;
}

export interface StreamOrigin {
  readonly port: number;
  /** Bytes that came on the streams upwards, by their numbers. */
  readonly received: Map<number, number>;
  stop(): void;
}

export interface StreamsOptions {
  readonly direction: "up" | "down";
  readonly streams: number;
  /** The listener of the proxy speaks TLS. */
  readonly tls: boolean;
  readonly port: number;
  readonly origin: StreamOrigin;
  /** More lines of the request, each with its line end. */
  readonly fields?: string;
}

const block = Buffer.alloc(262_144, 0x78);
/** The first bytes on a connection to the origin: what is wanted, and the number of the stream. */
const GREETING_BYTES = 5;
const DOWN = 0x44;

function flood(socket: Socket<unknown>): void {
  while (socket.write(block) === block.length);
}

/** Floods whoever asks for it, and counts what the others send. */
export function startStreamOrigin(): StreamOrigin {
  const received = new Map<number, number>();
  const listener = Bun.listen<{ number: number; wish: number }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { number: -1, wish: 0 };
      },
      data(socket, chunk) {
        const { data } = socket;
        if (data.wish !== 0) {
          received.set(data.number, (received.get(data.number) ?? 0) + chunk.length);
          return;
        }
        data.wish = chunk[0] ?? 0;
        data.number = chunk.readUInt32BE(1);
        received.set(data.number, chunk.length - GREETING_BYTES);
        if (data.wish === DOWN) flood(socket);
      },
      drain(socket) {
        if (socket.data.wish === DOWN) flood(socket);
      },
      error() {},
    },
  });
  return { port: listener.port, received, stop: () => listener.stop(true) };
}

/** Opens streams through a proxy. */
export async function openStreams(options: StreamsOptions): Promise<Streams> {
  const { direction, tls, port, origin } = options;
  const sockets: Socket<unknown>[] = [];
  const counts: number[] = [];
  const open = async (): Promise<() => void> => {
    const number = counts.push(0) - 1;
    const ready = Promise.withResolvers<void>();
    let isUp = false;
    const authority = `127.0.0.1:${origin.port}`;
    const greeting = Buffer.alloc(GREETING_BYTES, direction === "down" ? DOWN : 0x55);
    greeting.writeUInt32BE(number, 1);
    const begin = (socket: Socket<unknown>): void => {
      socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${options.fields ?? ""}\r\n`);
    };
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      ...(tls && { tls: { rejectUnauthorized: false } }),
      socket: {
        open: tls ? () => {} : begin,
        handshake: begin,
        data(_from, chunk) {
          if (isUp) {
            if (direction === "down") counts[number] = (counts[number] ?? 0) + chunk.length;
            return;
          }
          if (!chunk.toString("latin1").startsWith("HTTP/1.1 200"))
            ready.reject(new Error(`The proxy answered ${chunk.toString("latin1").slice(0, 60)}`));
          isUp = true;
          ready.resolve();
        },
        drain(from) {
          if (isUp && direction === "up") flood(from);
        },
        error(_from, error) {
          ready.reject(error);
        },
      },
    });
    sockets.push(socket);
    await ready.promise;
    return () => {
      socket.write(greeting);
      if (direction === "up") flood(socket);
    };
  };
  // All before the first begins, whose traffic would keep the others out.
  const begins: (() => void)[] = [];
  for (let opened = 0; opened < options.streams; opened += 1) begins.push(await open());
  for (const begin of begins) begin();
  return {
    bytes: () => (direction === "down" ? [...counts] : counts.map((_, number) => origin.received.get(number) ?? 0)),
    open: async () => (await open())(),
    end: () => {
      for (const socket of sockets) socket.terminate();
    },
  };
}
