import type { PacQuestion } from "../protocol/pac/pac-url.ts";
import type { KnownNames, PacStep } from "../proxy/pac/pac-file.ts";
import type { PacLoaded } from "./pac-sandbox.ts";
import type { PacOrder, PacReply } from "./pac-worker.ts";

/** Milliseconds for a question: the sandbox ends code of a file much earlier, but cannot end one long step of its engine. */
const FIND_MS = 3000;
/** Milliseconds for a file: starting a thread and compiling the engine included. */
const LOAD_MS = 15_000;

/** An order that is to be answered. */
interface Task {
  readonly order: PacOrder;
  readonly settle: (reply: PacReply | undefined) => void;
}

/** How a failed order is answered: the thread was stuck, or died. */
const STUCK = "did not end, and its thread was given up";

/**
 * A thread that evaluates one PAC file, so that no file can hold up the event
 * loop. It starts with the first file. A thread that does not answer is ended,
 * and the next order starts another one, but never while the old one still runs:
 * a file can use one core at most.
 */
export class PacThread {
  #worker: Worker | undefined;
  /** Threads that were given up and have not ended. */
  #stuck = 0;
  /** The file that is in use. */
  #source: string | undefined;
  readonly #tasks: Task[] = [];
  #running: Task | undefined;
  #watch: Timer | undefined;
  #closed = false;
  readonly #findMs: number;

  constructor(findMs = FIND_MS) {
    this.#findMs = findMs;
  }

  /** Loads another file. When it cannot be used, the one before stays in use. */
  async load(source: string): Promise<PacLoaded> {
    const reply = await this.#ask({ kind: "load", source });
    if (reply?.kind !== "loaded") return { ok: false, why: STUCK };
    if (reply.loaded.ok) this.#source = source;
    return reply.loaded;
  }

  /** Asks the file in use. */
  async find(question: PacQuestion, names: KnownNames): Promise<PacStep> {
    const reply = await this.#ask({ kind: "find", question, names });
    return reply?.kind === "found" ? reply.step : { kind: "failed", why: STUCK };
  }

  close(): void {
    this.#closed = true;
    this.#giveUp();
    for (const task of this.#tasks.splice(0)) task.settle(undefined);
  }

  #ask(order: PacOrder): Promise<PacReply | undefined> {
    return new Promise((settle) => {
      this.#tasks.push({ order, settle });
      this.#next();
    });
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const task = this.#tasks.shift();
    if (task === undefined) return;
    this.#running = task;
    const isFirst = this.#worker === undefined;
    const worker = this.#worker ?? this.#start(task.order);
    if (worker === undefined) {
      this.#finish(undefined);
      return;
    }
    const ms = task.order.kind === "find" && !isFirst ? this.#findMs : LOAD_MS;
    this.#watch = setTimeout(() => this.#giveUp(), ms);
    worker.postMessage(task.order);
  }

  /** Starts a thread, with the file in use unless the order brings one. */
  #start(order: PacOrder): Worker | undefined {
    if (this.#closed || this.#stuck > 0) return undefined;
    const worker = new Worker(new URL("./pac-worker.ts", import.meta.url).href, { smol: true, ref: false });
    const isCurrent = () => this.#worker === worker;
    // The reply to the file that a new thread gets first is of no interest: it was loaded before.
    const source = order.kind === "find" ? this.#source : undefined;
    let unasked = source === undefined ? 0 : 1;
    worker.addEventListener("message", ({ data }: MessageEvent<PacReply>) => {
      if (!isCurrent()) return;
      if (unasked > 0) unasked -= 1;
      else this.#finish(data);
    });
    worker.addEventListener("close", () => {
      if (isCurrent()) {
        this.#worker = undefined;
        this.#finish(undefined);
      } else this.#stuck -= 1;
    });
    // A "close" follows. Without this listener an error would end the process.
    worker.addEventListener("error", (event) => event.preventDefault());
    this.#worker = worker;
    if (source !== undefined) worker.postMessage({ kind: "load", source } satisfies PacOrder);
    return worker;
  }

  #giveUp(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    if (worker !== undefined) {
      this.#stuck += 1;
      worker.terminate();
    }
    this.#finish(undefined);
  }

  #finish(reply: PacReply | undefined): void {
    clearTimeout(this.#watch);
    const task = this.#running;
    this.#running = undefined;
    task?.settle(reply);
    this.#next();
  }
}
