import { connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions, TLSSocket } from "node:tls";

/** An HTTP proxy for tests, plain or over TLS: it grants every CONNECT and dials the port on 127.0.0.1. When that fails it resets the connection. */
export interface ConnectUpstream extends AsyncDisposable {
  readonly port: number;
  /** Targets it was asked for, in order. */
  readonly asked: string[];
  /** The connections that it accepted. */
  readonly sockets: Socket[];
}

export async function startConnectUpstream(
  tls?: TlsOptions,
  at: { readonly host: string; readonly port: number } = { host: "127.0.0.1", port: 0 },
): Promise<ConnectUpstream> {
  const asked: string[] = [];
  const sockets: Socket[] = [];
  const serve = (client: Socket) => {
    sockets.push(client);
    // Ends are told by `close`; how is not this proxy's matter.
    client.on("error", () => {});
    let head = Buffer.alloc(0);
    const read = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      client.off("data", read);
      client.pause();
      const [method, target = ""] = head.toString("latin1").split(" ", 2);
      if (method !== "CONNECT") {
        client.end("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      asked.push(target);
      const server = connect({ host: "127.0.0.1", port: Number(target.split(":").at(-1)), allowHalfOpen: true });
      server.on("connect", () => {
        client.write("HTTP/1.1 200 OK\r\n\r\n");
        server.write(head.subarray(end + 4));
        joinStreams(client, server);
        joinStreams(server, client);
        client.resume();
      });
      server.on("error", () => endHard(client));
    };
    client.on("data", read);
  };
  const server: Server =
    tls === undefined
      ? createServer({ allowHalfOpen: true }, serve)
      : createTlsServer({ ...tls, allowHalfOpen: true } as TlsOptions, serve);
  server.listen(at.port, at.host);
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    asked,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Carries one direction, with back-pressure, half-close and reset. */
function joinStreams(from: Socket, to: Socket): void {
  from.on("data", (chunk) => {
    if (to.write(chunk)) return;
    from.pause();
    to.once("drain", () => from.resume());
  });
  from.on("end", () => to.end());
  from.on("error", () => endHard(to));
  from.on("close", () => to.destroySoon());
}

function endHard(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}
