import type { ServerHandshake } from "../../src/net/runtime/server-handshake.ts";
import { listenTcp } from "../../src/net/runtime/listen.ts";
import { createServerTls, type ServerTls, type ServerTlsOptions } from "../../src/net/runtime/server-tls.ts";
import { startServerTls } from "../../src/net/runtime/start-server-tls.ts";
import type { Certificate } from "./certificate.ts";
import { RawPeer, rawPeerHandlers } from "./raw-peer.ts";

/** A TLS listener without a proxy behind it; what became of each handshake is kept. */
export interface TlsStand extends Disposable {
  readonly port: number;
  /** May be replaced at any time, as a reload does. */
  tls: ServerTls;
  /** In the order in which they were over. */
  readonly handshakes: readonly ServerHandshake[];
  /** What became of the handshake with the client at that port, once it is over. */
  handshake(clientPort: number): Promise<ServerHandshake>;
  /** Resolves once so many handshakes are over. */
  untilOver(count: number): Promise<void>;
}

export function makeServerTls(options: ServerTlsOptions): ServerTls {
  const result = createServerTls(options);
  if (!result.ok) throw new Error(`certificate ${result.at}: ${result.reason}`);
  return result.tls;
}

export interface TlsStandOptions extends ServerTlsOptions {
  /** Milliseconds; ten seconds unless told otherwise. */
  readonly deadlineMs?: number;
  /** What is done with a client after its handshake. */
  readonly serve?: (handshake: ServerHandshake) => void;
}

export function startTlsStand({ deadlineMs = 10_000, serve, ...options }: TlsStandOptions): TlsStand {
  const handshakes: ServerHandshake[] = [];
  const byPort = new Map<number, PromiseWithResolvers<ServerHandshake>>();
  const expect = (clientPort: number): PromiseWithResolvers<ServerHandshake> => {
    const known = byPort.get(clientPort) ?? Promise.withResolvers<ServerHandshake>();
    byPort.set(clientPort, known);
    return known;
  };
  let another = Promise.withResolvers<void>();
  const stand = { tls: makeServerTls(options) };
  const bound = listenTcp("127.0.0.1", 0, (conn) => {
    const { resolve } = expect(conn.remotePort);
    void startServerTls(conn, stand.tls, deadlineMs).then((handshake) => {
      handshakes.push(handshake);
      serve?.(handshake);
      resolve(handshake);
      another.resolve();
      another = Promise.withResolvers<void>();
    });
  });
  if (!bound.ok) throw new Error(bound.code);
  const { listener } = bound;
  return Object.assign(stand, {
    port: listener.port,
    handshakes,
    handshake: (clientPort: number) => expect(clientPort).promise,
    async untilOver(count: number): Promise<void> {
      while (handshakes.length < count) await another.promise;
    },
    [Symbol.dispose]: () => listener.stop(),
  });
}

/** Says one line to the client and waits for it to end; one that is refused is told so, if that is possible. */
export function welcome(handshake: ServerHandshake): void {
  const { conn } = handshake;
  if (conn === undefined) return;
  conn.write(Buffer.from(handshake.ok ? "welcome\n" : "go away\n"));
  if (!handshake.ok) return conn.close();
  conn.attach({
    data: () => {},
    end: () => conn.close(),
    drain: () => {},
    close: () => {},
  });
}

/** Connects to a loopback port with TLS, as a client that trusts `ca` and asks for `serverName`. */
export async function connectTls(
  port: number,
  ca: string,
  serverName = "localhost",
  shown?: Certificate,
): Promise<RawPeer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawPeer>();
  await Bun.connect<RawPeer>({
    hostname: "127.0.0.1",
    port,
    allowHalfOpen: true,
    tls: { ca, serverName, ...shown },
    socket: {
      ...rawPeerHandlers,
      open(socket) {
        socket.data = new RawPeer(socket);
      },
      handshake(socket, verified, error) {
        if (verified && error === null) resolve(socket.data);
        else reject(error ?? new Error("The TLS handshake failed"));
      },
    },
  });
  return promise;
}
