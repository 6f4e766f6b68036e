import type { Movable } from "../gate/movable.ts";
import { MAX_DESCRIPTORS, MAX_PAYLOAD_BYTES } from "../protocol/handover/frame.ts";
import type { Connections, Taken } from "../protocol/handover/message.ts";

export interface MoverOptions {
  /** What can move, as it becomes free. Its descriptors belong to the mover. */
  readonly release: () => AsyncIterable<Movable>;
  /** Serves a connection in this process again; false when it cannot. */
  readonly receive: (movable: Movable) => boolean;
  readonly send: (message: Connections, descriptors: readonly number[]) => Promise<void>;
  readonly closeDescriptor: (fd: number) => void;
  /** Nothing has become free for a while, or nothing is left. It comes once. */
  readonly onQuiet: () => void;
  /** The successor has not answered in time. */
  readonly onStuck: () => void;
  /** Milliseconds for that; 30,000 unless told otherwise. */
  readonly answerMs?: number;
}

/** Milliseconds without anything that becomes free. */
const QUIET_MS = 1000;
/** Milliseconds for the successor to take a batch: it may be busy, and must not be stuck. */
const ANSWER_MS = 30_000;
/** Bytes of state in a batch, unless one connection alone has more. */
const BATCH_BYTES = 1024 * 1024;
/** Connections that are free and wait for the batch before them. */
const MAX_WAITING = 256;
/** Batches in a row that were refused as a whole: the successor does not know such connections. */
const MAX_REFUSALS = 2;

interface Waiting {
  readonly movable: Movable;
  readonly bytes: number;
}

/**
 * Sends connections to the successor in batches. The descriptors of a batch stay
 * open here until the successor says that it has taken them: if it dies before
 * that, this process serves them on.
 */
export class Mover {
  /** Connections that the successor has taken. */
  moved = 0;
  readonly #options: MoverOptions;
  readonly #waiting: Waiting[] = [];
  readonly #stopped = Promise.withResolvers<"stopped">();
  readonly #ended = Promise.withResolvers<void>();
  #underWay:
    { readonly batch: number; readonly movables: readonly Movable[]; readonly timer: NodeJS.Timeout } | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  #batch = 0;
  #refusals = 0;
  #collected = false;
  #lost = false;
  #quietTimer: NodeJS.Timeout | undefined;
  #quiet = false;

  constructor(options: MoverOptions) {
    this.#options = options;
  }

  /** Moves everything that becomes free. Resolves once nothing is left to move, after `stop`, and after `lose`. */
  async run(): Promise<void> {
    this.#awaitQuiet();
    const iterator = this.#options.release()[Symbol.asyncIterator]();
    for (;;) {
      const next = iterator.next();
      const result = await Promise.race([next, this.#stopped.promise]);
      if (result === "stopped") {
        // It may be in the middle of giving one away.
        void next.then(({ done, value }) => done !== true && this.#takeBack(value));
        void iterator.return?.();
        break;
      }
      if (result.done === true) break;
      this.#awaitQuiet();
      this.#add(result.value);
      if (this.#waiting.length >= MAX_WAITING) await Promise.race([this.#waitForRoom(), this.#stopped.promise]);
    }
    this.#collected = true;
    this.#becomeQuiet();
    this.#settle();
    return this.#ended.promise;
  }

  /** The successor's answer to a batch; false when it is for none that is under way. */
  answer({ batch, refused }: Taken): boolean {
    const underWay = this.#underWay;
    if (underWay?.batch !== batch) return false;
    clearTimeout(underWay.timer);
    this.#underWay = undefined;
    for (const [at, movable] of underWay.movables.entries()) {
      if (refused.includes(at)) this.#takeBack(movable);
      else this.#let(movable);
    }
    this.#refusals = refused.length < underWay.movables.length ? 0 : this.#refusals + 1;
    if (this.#refusals >= MAX_REFUSALS) this.#stopped.resolve("stopped");
    this.#sendNext();
    return true;
  }

  /** Moves nothing more but what is free already. Resolves once it has arrived. */
  stop(): Promise<void> {
    this.#stopped.resolve("stopped");
    return this.#ended.promise;
  }

  /** The successor is gone: this process serves what it has not taken. */
  lose(): void {
    this.#lost = true;
    clearTimeout(this.#underWay?.timer);
    const left = [...(this.#underWay?.movables ?? []), ...this.#waiting.splice(0).map(({ movable }) => movable)];
    this.#underWay = undefined;
    for (const movable of left) this.#takeBack(movable);
    this.#stopped.resolve("stopped");
    this.#room?.resolve();
    this.#settle();
  }

  #add(movable: Movable): void {
    const bytes = JSON.stringify(movable.state).length;
    // UTF-8 takes up to three bytes for one of them.
    if (this.#lost || 3 * bytes > MAX_PAYLOAD_BYTES || movable.descriptors.length > MAX_DESCRIPTORS)
      return this.#takeBack(movable);
    this.#waiting.push({ movable, bytes });
    this.#sendNext();
  }

  #sendNext(): void {
    if (this.#underWay !== undefined || this.#lost) return;
    const movables: Movable[] = [];
    let descriptors = 0;
    let bytes = 0;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      descriptors += next.movable.descriptors.length;
      bytes += next.bytes;
      if (movables.length > 0 && (descriptors > MAX_DESCRIPTORS || bytes > BATCH_BYTES)) break;
      movables.push(next.movable);
      this.#waiting.shift();
    }
    this.#room?.resolve();
    if (movables.length === 0) return this.#settle();
    this.#batch += 1;
    const { onStuck, answerMs = ANSWER_MS, send } = this.#options;
    this.#underWay = { batch: this.#batch, movables, timer: setTimeout(onStuck, answerMs) };
    const connections = movables.map(({ state, descriptors: { length } }) => ({ descriptors: length, state }));
    void send(
      { kind: "connections", batch: this.#batch, connections },
      movables.flatMap((movable) => movable.descriptors),
    );
  }

  /** The successor has it. */
  #let({ descriptors }: Movable): void {
    this.moved += 1;
    for (const fd of descriptors) this.#options.closeDescriptor(fd);
  }

  #takeBack(movable: Movable): void {
    if (this.#options.receive(movable)) return;
    for (const fd of movable.descriptors) this.#options.closeDescriptor(fd);
  }

  #waitForRoom(): Promise<void> {
    this.#room = Promise.withResolvers();
    return this.#room.promise;
  }

  #settle(): void {
    if (this.#collected && this.#underWay === undefined && this.#waiting.length === 0) this.#ended.resolve();
  }

  #awaitQuiet(): void {
    clearTimeout(this.#quietTimer);
    if (!this.#quiet) this.#quietTimer = setTimeout(() => this.#becomeQuiet(), QUIET_MS);
  }

  #becomeQuiet(): void {
    clearTimeout(this.#quietTimer);
    if (this.#quiet) return;
    this.#quiet = true;
    if (!this.#lost) this.#options.onQuiet();
  }
}
