import { join } from "node:path";
import type { ClientCommand, ClientMessage, ClientOrder, ClientReport } from "./order.ts";

/** The process of the clients. */
export class ClientProcess implements Disposable {
  readonly #ready = Promise.withResolvers<void>();
  readonly #done = Promise.withResolvers<ClientReport>();
  readonly #child = Bun.spawn([process.execPath, join(import.meta.dir, "../reload-clients.ts")], {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: (message: ClientMessage) => {
      if (message.kind === "ready") this.#ready.resolve();
      else this.#done.resolve(message.report);
    },
  });

  constructor() {
    void this.#child.exited.then((code) => {
      const gone = new Error(`The clients ended with ${code}`);
      this.#ready.reject(gone);
      this.#done.reject(gone);
    });
    // Whoever waits for them is told.
    void this.#ready.promise.catch(() => {});
    void this.#done.promise.catch(() => {});
  }

  tell(command: ClientCommand): void {
    this.#child.send(command);
  }

  /** Resolves once all long tunnels are open. */
  start(order: ClientOrder): Promise<void> {
    this.tell({ kind: "start", order });
    return this.#ready.promise;
  }

  stop(): Promise<ClientReport> {
    this.tell({ kind: "stop" });
    return this.#done.promise;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
