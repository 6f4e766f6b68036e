import type { UsageOrder, UsageReply } from "./usage-worker.ts";

const ENDED: UsageReply = { kind: "failed", code: "ended" };

/**
 * The thread that keeps the file of use: a disk that does not answer holds up
 * nobody else. One order at a time.
 */
export class UsageThread {
  #worker: Worker | undefined;
  #settle: ((reply: UsageReply) => void) | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #ended = false;

  /** Carries out an order after those before it; none once the thread has ended. */
  async ask(order: UsageOrder): Promise<UsageReply> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<UsageReply>();
    this.#last = promise;
    await before;
    if (this.#ended) {
      resolve(ENDED);
      return promise;
    }
    this.#settle = (reply) => {
      this.#settle = undefined;
      resolve(reply);
    };
    (this.#worker ??= this.#start()).postMessage(order);
    return promise;
  }

  /** Ends the thread. An order that it has may be carried out all the same. */
  end(): void {
    this.#ended = true;
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.terminate();
    this.#settle?.(ENDED);
  }

  #start(): Worker {
    const worker = new Worker(new URL("./usage-worker.ts", import.meta.url).href, { smol: true, ref: false });
    worker.addEventListener("message", ({ data }: MessageEvent<UsageReply>) => {
      if (this.#worker === worker) this.#settle?.(data);
    });
    worker.addEventListener("close", () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#settle?.({ kind: "failed", code: "thread" });
    });
    // A "close" follows. Without this listener an error would end the process.
    worker.addEventListener("error", (event) => event.preventDefault());
    return worker;
  }
}
