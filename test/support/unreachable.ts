import { connect, type Socket } from "node:net";

/** Ports below those that Linux chooses by itself (ip_local_port_range). */
const FIRST_PORT = 10_000;
const PORTS = 22_000;

/** They keep ports for this process, as long as it lives. */
const reserved: { unref(): void }[] = [];

/**
 * A loopback port on which nobody listens, unless this test does. The kernel gives it to
 * nobody, and a UDP socket with the same number keeps tests in other processes from it.
 */
export async function reserveClosedPort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    try {
      const holder = await Bun.udpSocket({ hostname: "127.0.0.1", port });
      holder.unref();
      reserved.push(holder);
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
      return port;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
    }
  }
}

/** A loopback port on which nobody listens, and which nobody else is given as long as it is held. */
export async function holdClosedPort(): Promise<Disposable & { readonly port: number }> {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  // The port of a client's end: it is in use, and refuses connections.
  const client = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data() {} } });
  return {
    port: client.localPort,
    [Symbol.dispose]() {
      client.end();
      server.stop(true);
    },
  };
}

/** A listener whose queue is full and whom nobody asks for its connections: a connect to it never ends. */
export async function listenBlackhole(): Promise<AsyncDisposable & { readonly port: number }> {
  // python holds the listening socket: Bun would accept whatever arrives.
  const script =
    "import socket,sys\ns=socket.socket()\ns.bind(('127.0.0.1',0))\ns.listen(0)\nprint(s.getsockname()[1],flush=True)\nsys.stdin.read()";
  const holder = Bun.spawn(["python3", "-c", script], { stdin: "pipe", stdout: "pipe" });
  const port = Number(new TextDecoder().decode((await holder.stdout.getReader().read()).value));
  const fillers: Socket[] = [];
  for (let count = 0; count < 4; count += 1) {
    const filler = connect(port, "127.0.0.1");
    filler.on("error", () => {});
    fillers.push(filler);
  }
  // Two of them complete and fill the queue; the others hang, as every later one will.
  await new Promise<void>((resolve) => fillers[0]?.once("connect", () => resolve()));
  await new Promise<void>((resolve) => setTimeout(resolve, 50));
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const filler of fillers) filler.destroy();
      holder.kill();
      await holder.exited;
    },
  };
}
