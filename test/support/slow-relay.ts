import { connect, createServer, type Socket } from "node:net";

/** A TCP relay in front of a server, which holds back every byte for a time. */
export interface SlowRelay extends AsyncDisposable {
  readonly port: number;
  /** Milliseconds for which each chunk is held back, in each direction. */
  delayMs: number;
  /** Takes what clients send, and loses what the server answers. */
  losesAnswers: boolean;
}

export async function openSlowRelay(target: number, delayMs: number): Promise<SlowRelay> {
  const sockets = new Set<Socket>();
  const state = { delayMs, losesAnswers: false };
  const pass = (from: Socket, to: Socket, isAnswer: boolean): void => {
    from.on("data", (chunk) => {
      if (isAnswer && state.losesAnswers) {
        from.destroy();
        to.destroy();
      } else setTimeout(() => to.write(chunk), state.delayMs);
    });
    from.on("close", () => setTimeout(() => to.destroy(), state.delayMs));
    from.on("error", () => {});
  };
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
    pass(client, upstream, false);
    pass(upstream, client, true);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return Object.assign(state, {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
