/**
 * The clients of `reloads.ts`, a process of their own: they take commands and
 * report over the channel to the process that started them.
 */
import type { ClientCommand, ClientMessage, ClientOrder, ClientReport } from "./reloads/order.ts";
import { runLongTunnel } from "./reloads/long-tunnel.ts";
import { connectOnce, Forwarder, type Way } from "./reloads/short-requests.ts";
import { makeBlock } from "./reloads/streams.ts";
import { Counter } from "./reloads/tally.ts";

/** Milliseconds between two looks at what is due. */
const TICK_MS = 5;
const FORWARD_MS = 50;
/** Milliseconds that the last short requests have. */
const LAST_MS = 15_000;
/** Long tunnels that are opened at once. */
const OPENING = 50;

/** A listener that comes and goes. */
interface Visitor {
  readonly way: Way;
  state: "there" | "removing";
}

class Clients {
  readonly #order: ClientOrder;
  readonly #connects = new Counter();
  readonly #forwards = new Counter();
  readonly #tunnels = { lanes: new Counter(), relay: new Counter(), tls: new Counter() };
  readonly #over = Promise.withResolvers<void>();
  readonly #block = makeBlock();
  readonly #running = new Set<Promise<void>>();
  #isOver = false;
  #visitor: Visitor | undefined;
  #tunnelBytes = 0;
  #begun = 0;

  constructor(order: ClientOrder) {
    this.#order = order;
  }

  /** Opens the long tunnels, and then begins with all else. */
  async start(): Promise<void> {
    const { tunnels, laneBytes } = this.#order;
    const wanted = [
      ...Array.from({ length: tunnels.lanes }, () => ["lanes", laneBytes] as const),
      ...Array.from({ length: tunnels.relay }, () => ["relay", 4096] as const),
      ...Array.from({ length: tunnels.tls }, (_, at) => ["tls", at % 2 === 0 ? laneBytes : 4096] as const),
    ].entries();
    const open = async (): Promise<void> => {
      for (const [number, [kind, firstBytes]] of wanted) await this.#openTunnel(number, kind, firstBytes);
    };
    await Promise.all(Array.from({ length: OPENING }, open));
    this.#begun = performance.now();
    this.#run(this.#connect());
    for (let at = 0; at < this.#order.forwarders; at += 1) this.#run(this.#forward(at));
  }

  /** Resolves once the tunnel is open, or has failed. */
  async #openTunnel(number: number, kind: keyof ClientOrder["tunnels"], firstBytes: number): Promise<void> {
    const opened = Promise.withResolvers<void>();
    const run = async (): Promise<string | number> => {
      const result = await runLongTunnel({
        way: this.#way(kind === "tls"),
        streamPort: this.#order.streamPort,
        number,
        firstBytes,
        block: this.#block,
        over: this.#over.promise,
        opened: opened.resolve,
      });
      if (typeof result === "number") this.#tunnelBytes += result;
      return result;
    };
    const counted = this.#tunnels[kind].count(run);
    this.#run(counted);
    await Promise.race([opened.promise, counted]);
  }

  /** Starts CONNECTs at their rate, however long they take. */
  async #connect(): Promise<void> {
    const { connectsPerSecond, tlsEach, echoPort } = this.#order;
    for (let count = 0; !this.#isOver; await Bun.sleep(TICK_MS)) {
      const due = ((performance.now() - this.#begun) / 1000) * connectsPerSecond;
      for (; count < due; count += 1) {
        // Every fifth goes to the listener that comes and goes.
        const visitor = count % 5 === 4 ? this.#visitor : undefined;
        const way = visitor?.way ?? this.#way(count % tlsEach === 0);
        const isExcused = (): boolean => visitor?.state === "removing";
        this.#run(this.#connects.count(() => connectOnce(way, echoPort), isExcused));
      }
    }
  }

  async #forward(at: number): Promise<void> {
    const forwarder = new Forwarder(this.#way(at % 4 === 0), this.#order.httpPort);
    while (!this.#isOver) {
      await this.#forwards.count(() => forwarder.ask());
      await Bun.sleep(FORWARD_MS);
    }
    forwarder.close();
  }

  #way(isSecure: boolean): Way {
    const { clearPort, tlsPort, ca, credentials } = this.#order;
    return { port: isSecure ? tlsPort : clearPort, ca: isSecure ? ca : undefined, credentials };
  }

  #run(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  visit(port: number, isSecure: boolean): void {
    const { ca, credentials } = this.#order;
    this.#visitor = { way: { port, ca: isSecure ? ca : undefined, credentials }, state: "there" };
  }

  /** From now on a failure there is to be expected. */
  expectRemoval(): void {
    if (this.#visitor !== undefined) this.#visitor.state = "removing";
  }

  leave(): void {
    this.#visitor = undefined;
  }

  async stop(): Promise<ClientReport> {
    const seconds = (performance.now() - this.#begun) / 1000;
    this.#isOver = true;
    this.#over.resolve();
    await Promise.race([Promise.all(this.#running), Bun.sleep(LAST_MS)]);
    const { lanes, relay, tls } = this.#tunnels;
    return {
      connects: this.#connects.tally,
      forwards: this.#forwards.tally,
      tunnels: { lanes: lanes.tally, relay: relay.tally, tls: tls.tally },
      tunnelBytes: this.#tunnelBytes,
      seconds,
    };
  }
}

const tell = (message: ClientMessage): void => void process.send?.(message);
let clients: Clients | undefined;

async function obey(command: ClientCommand): Promise<void> {
  switch (command.kind) {
    case "start":
      clients = new Clients(command.order);
      await clients.start();
      return tell({ kind: "ready" });
    case "add":
      return clients?.visit(command.port, command.tls);
    case "removing":
      return clients?.expectRemoval();
    case "removed":
      return clients?.leave();
    case "stop":
      if (clients !== undefined) tell({ kind: "done", report: await clients.stop() });
      return process.disconnect?.();
  }
}

process.on("message", (command: ClientCommand) => void obey(command));
