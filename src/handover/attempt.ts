import type { ChannelOwner, HandoverChannel } from "../net/handover/channel.ts";
import type { HandoverMessage, Ready } from "../protocol/handover/message.ts";
import type { Mover } from "./mover.ts";

/** A process that was started to take over. */
export interface SuccessorProcess {
  readonly pid: number;
  /** How it ended: `ended with exit code 1`. */
  readonly exited: Promise<string>;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

/** Milliseconds to read and check a configuration, which may be a program. */
const READY_MS = 60_000;
/** Milliseconds for a process that has closed its channel to end. */
const EXIT_MS = 2000;

type Readiness =
  | { readonly ok: true; readonly ready: Ready }
  | { readonly ok: false; readonly reason: string; readonly code: number; readonly problems: readonly string[] };

/** One try to hand over, to one process. */
export class Attempt implements ChannelOwner {
  readonly process: SuccessorProcess;
  /** The successor accepts. */
  isReady = false;
  /** It has stopped that on purpose, or has changed its listeners: the old process does not accept in its place. */
  isOnItsOwn = false;
  readonly #channel: HandoverChannel;
  readonly #dropSockets: () => void;
  readonly #readiness = Promise.withResolvers<Readiness>();
  /** Why the successor is lost, after it was ready. */
  readonly #loss = Promise.withResolvers<string>();
  readonly #timer: NodeJS.Timeout;
  #mover: Mover | undefined;
  readonly #finishing = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #over = false;

  /** `dropSockets` closes what is kept to accept in its place. */
  constructor(channel: HandoverChannel, process: SuccessorProcess, dropSockets: () => void, readyMs = READY_MS) {
    this.#channel = channel;
    this.#dropSockets = dropSockets;
    this.process = process;
    this.#timer = setTimeout(
      () =>
        this.#failWith(`Process ${process.pid} was not ready within ${readyMs / 1000} s, and was ended.`, "SIGKILL"),
      readyMs,
    );
  }

  untilReady(): Promise<Readiness> {
    return this.#readiness.promise;
  }

  /** Gives everything to the successor until `finish`. Resolves with why it is lost, or with nothing when all has moved that can. */
  untilMoved(mover: Mover): Promise<string | undefined> {
    this.#mover = mover;
    const moved = Promise.all([mover.run(), this.#finishing.promise]);
    return Promise.race([moved.then(() => undefined), this.#loss.promise]);
  }

  send(message: HandoverMessage, descriptors?: readonly number[]): Promise<void> {
    return this.#channel.send(message, descriptors);
  }

  /** Nothing is left here but what is on its way. Resolves once that has arrived or is served here again. */
  async settle(): Promise<void> {
    // The mover ends by itself: what became free last may still be there to send.
    this.#finishing.resolve();
    await this.#closed.promise;
  }

  /** Moves nothing more. Resolves once what is on its way has arrived or is served here again. */
  async finish(): Promise<void> {
    void this.#mover?.stop();
    await this.settle();
  }

  /** Ends a successor that is not ready. */
  abandon(reason: string): void {
    // It may be about to accept: it drains then.
    if (!this.isReady) this.#failWith(reason, "SIGTERM");
  }

  /** Ends a successor that is ready and does not do its part. It must not go on beside this process. */
  giveUp(reason: string): void {
    this.process.kill("SIGKILL");
    void this.process.exited.then(() => this.#loss.resolve(reason));
  }

  close(): void {
    this.#over = true;
    this.#channel.close();
    this.#closed.resolve();
  }

  onMessage(message: HandoverMessage): void {
    switch (message.kind) {
      case "ready":
        if (this.isReady || this.#over) return this.onEnd("it said twice that it is ready");
        this.isReady = true;
        clearTimeout(this.#timer);
        return this.#readiness.resolve({ ok: true, ready: message });
      case "failed": {
        if (this.isReady) return this.onEnd("it failed after it was ready");
        const { code, problems } = message;
        const what = code === 78 ? "cannot use its configuration" : "cannot serve";
        return this.#fail({ reason: `Process ${this.process.pid} ${what}.`, code, problems });
      }
      case "taken":
        if (this.#mover?.answer(message) !== true) this.onEnd("it answered to what it was not sent");
        return;
      case "leaving":
        this.#letGo();
        return void this.finish();
      case "settled":
        return this.#letGo();
      case "offer":
      case "confirmed":
      case "connections":
      case "state":
      case "done":
        return this.onEnd(`it sent what only the old process sends (${message.kind})`);
    }
  }

  onEnd(fault?: string): void {
    if (this.#over) return;
    this.#channel.close();
    if (this.isReady) return this.giveUp(fault ?? "it is gone");
    if (fault !== undefined) return this.#failWith(`Process ${this.process.pid} was ended: ${fault}.`, "SIGKILL");
    void this.#describeExit();
  }

  #letGo(): void {
    this.isOnItsOwn = true;
    this.#dropSockets();
  }

  /** The channel is closed: the process is about to end, or is no Penstock that can take over. */
  async #describeExit(): Promise<void> {
    const timer = setTimeout(() => this.process.kill("SIGKILL"), EXIT_MS);
    const how = await this.process.exited;
    clearTimeout(timer);
    this.#fail({ reason: `Process ${this.process.pid} ${how} before it was ready.`, code: 1, problems: [] });
  }

  #failWith(reason: string, signal: "SIGTERM" | "SIGKILL"): void {
    this.process.kill(signal);
    this.#fail({ reason, code: 1, problems: [] });
  }

  #fail(failure: Omit<Readiness & { ok: false }, "ok">): void {
    clearTimeout(this.#timer);
    this.close();
    this.#readiness.resolve({ ok: false, ...failure });
  }
}
