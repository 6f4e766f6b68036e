import type { Tell } from "../operator-message.ts";
import { HandoverChannel } from "../net/handover/channel.ts";
import type { PassedSockets } from "../net/handover/passed-sockets.ts";
import type { Watch } from "../net/handover/watch.ts";
import { readClockOriginMs } from "../net/libc/monotonic-clock.ts";
import type { Libc } from "../net/libc/libc.ts";
import { duplicateDescriptor, openSocketPair } from "../net/libc/socket.ts";
import { MAX_DESCRIPTORS } from "../protocol/handover/frame.ts";
import type { OfferedSocket } from "../protocol/handover/message.ts";
import { type CarriedState, saveAll, saveRest } from "./carried-state.ts";
import { Mover, type MoverOptions } from "./mover.ts";
import { Attempt, type SuccessorProcess } from "./attempt.ts";

/** Starts a successor, which gets `channel` and does not own it. With `executable` another program than the one of this process. Says why it cannot. */
export type StartSuccessor = (channel: number, executable?: string) => SuccessorProcess | string;

/** A socket to pass on. */
export interface SocketToPass {
  readonly socket: OfferedSocket;
  readonly fd: number | undefined;
}

/** What came of a hand-over. */
export type HandoverOutcome =
  /** The successor accepts, and this process does not any more. */
  | { readonly kind: "done"; readonly pid: number; readonly program: string }
  /** Nothing was started. */
  | { readonly kind: "refused"; readonly reason: string }
  /** This process goes on as before. `code`: as the exit code of a process, 78 for an invalid configuration. */
  | { readonly kind: "failed"; readonly reason: string; readonly code: number; readonly problems: readonly string[] };

export interface HandoverOptions extends Pick<MoverOptions, "release" | "receive" | "onQuiet" | "answerMs"> {
  readonly libc: Libc | undefined;
  readonly watch: Watch;
  readonly start: StartSuccessor;
  /** The version of this program. */
  readonly program: string;
  /** The listening sockets as they are now. */
  readonly listSockets: () => readonly SocketToPass[];
  /** Gets duplicates of the sockets that the successor serves on, should this process have to go on. */
  readonly passed: PassedSockets;
  readonly carried: readonly CarriedState[];
  /** Why this process cannot hand over now. */
  readonly findObstacle: () => string | undefined;
  /** The successor accepts: stop that. `used` are the sockets that it serves on. `settle` waits for what is on its way to it. */
  readonly leave: (successor: SuccessorProcess, used: readonly OfferedSocket[], settle: () => Promise<void>) => void;
  /** The successor is gone before the hand-over was over: accept again. */
  readonly resume: () => Promise<void>;
  /** Tells the operator. */
  readonly tell: Tell;
  /** Milliseconds for the successor to be ready; 60,000 unless told otherwise. */
  readonly readyMs?: number;
}

/** Starts successors, one at a time, and hands over to them. */
export class Handover {
  readonly #options: HandoverOptions;
  #attempt: Attempt | undefined;
  /** The process that has taken over. */
  #successor: number | undefined;

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** Starts a successor. Resolves when it accepts connections, or has failed. `by` is who asked. */
  async handOver(by: string, executable?: string): Promise<HandoverOutcome> {
    const outcome = await this.#try(by, executable);
    if (outcome.kind === "refused") this.#options.tell(`${by}: no hand-over. ${outcome.reason}`, "warn");
    else if (outcome.kind === "failed") {
      this.#options.tell(`The hand-over failed, and this process goes on as before. ${outcome.reason}`, "error");
      for (const problem of outcome.problems) this.#options.tell(`  ${problem}`, "error");
    }
    return outcome;
  }

  /** This process begins to leave by itself: a successor that is not ready must not take over. */
  abandon(reason: string): void {
    this.#attempt?.abandon(reason);
  }

  /** Tells a successor that is served with connections that nothing more comes. */
  async finish(): Promise<void> {
    await this.#attempt?.finish();
  }

  async #try(by: string, executable: string | undefined): Promise<HandoverOutcome> {
    const { libc, passed, tell } = this.#options;
    const obstacle = this.#findObstacle();
    if (obstacle !== undefined) return refuse(obstacle);
    if (libc === undefined) return refuse("This platform cannot pass sockets to another process.");
    const offered = this.#duplicateSockets(libc);
    if (typeof offered === "string") return refuse(offered);
    const attempt = this.#start(libc, executable, offered);
    if (typeof attempt === "string") {
      for (const { fd } of offered) libc.close(fd);
      return fail(attempt);
    }
    this.#attempt = attempt;
    tell(`${by}: started process ${attempt.process.pid} to hand over to it.`, "info");
    const result = await attempt.untilReady();
    if (!result.ok) {
      this.#attempt = undefined;
      for (const { fd } of offered) libc.close(fd);
      return { kind: "failed", ...result };
    }
    const { ready } = result;
    const isUsed = (at: number): boolean => ready.used.includes(at);
    for (const [at, { fd }] of offered.entries()) if (!isUsed(at)) libc.close(fd);
    const used = offered.filter((_, at) => isUsed(at));
    passed.fill(
      used.map(({ socket }) => socket),
      used.map(({ fd }) => fd),
    );
    tell(
      `Process ${attempt.process.pid} (Penstock ${ready.program}) accepts connections, and this one does not any more.`,
      "info",
    );
    void this.#move(
      attempt,
      used.map(({ socket }) => socket),
      ready.takesState === true,
    );
    return { kind: "done", pid: attempt.process.pid, program: ready.program };
  }

  #findObstacle(): string | undefined {
    if (this.#attempt?.isReady === false) return `A hand-over to process ${this.#attempt.process.pid} is under way.`;
    const successor = this.#attempt?.process.pid ?? this.#successor;
    if (successor !== undefined) return `Process ${successor} has taken over already.`;
    return this.#options.findObstacle();
  }

  /** Duplicates stay open whatever a reload closes. */
  #duplicateSockets(libc: Libc): { readonly socket: OfferedSocket; readonly fd: number }[] | string {
    const sockets = this.#options.listSockets();
    if (sockets.length > MAX_DESCRIPTORS)
      return `There are ${sockets.length} listening sockets, and one message can pass ${MAX_DESCRIPTORS}.`;
    if (sockets.some(({ fd }) => fd === undefined)) return "The runtime does not tell the descriptors of its sockets.";
    const copies = sockets.map(({ socket, fd = -1 }) => ({ socket, fd: duplicateDescriptor(libc, fd, "operators") }));
    if (copies.every(({ fd }) => fd >= 0)) return copies;
    for (const { fd } of copies) if (fd >= 0) libc.close(fd);
    return "There are not enough descriptors left. Raise the limit of open files.";
  }

  #start(
    libc: Libc,
    executable: string | undefined,
    offered: readonly { readonly socket: OfferedSocket; readonly fd: number }[],
  ): Attempt | string {
    const { start, watch, carried, program, passed, readyMs } = this.#options;
    const pair = openSocketPair(libc);
    if (pair === undefined) return "There are not enough descriptors left. Raise the limit of open files.";
    const [ours, theirs] = pair;
    const process = start(theirs, executable);
    libc.close(theirs);
    if (typeof process === "string") {
      libc.close(ours);
      return process;
    }
    const channel = new HandoverChannel(libc, ours);
    const attempt = new Attempt(channel, process, () => passed.closeRest(), readyMs);
    channel.open(attempt, watch);
    void channel.send(
      {
        kind: "offer",
        program,
        pid: globalThis.process.pid,
        clockOriginMs: readClockOriginMs(),
        sockets: offered.map(({ socket }) => socket),
        state: saveAll(carried),
      },
      offered.map(({ fd }) => fd),
    );
    return attempt;
  }

  /** Moves connections until nothing is left to move, or the successor is gone. */
  async #move(attempt: Attempt, used: readonly OfferedSocket[], takesState: boolean): Promise<void> {
    const { libc, leave, resume, passed, carried, tell } = this.#options;
    const mover = new Mover({
      ...this.#options,
      send: (message, descriptors) => attempt.send(message, descriptors),
      closeDescriptor: (fd) => void libc?.close(fd),
      onStuck: () => attempt.giveUp("it does not answer"),
    });
    leave(attempt.process, used, () => attempt.settle());
    void attempt.send({ kind: "confirmed" });
    const rest = takesState ? sendRest(attempt, carried) : Promise.resolve();
    const lost = await attempt.untilMoved(mover);
    if (lost === undefined) {
      await rest;
      await Promise.all(carried.map((each) => each.settle?.()));
      await attempt.send({ kind: "done", state: saveAll(carried, "offer") });
      this.#successor = attempt.process.pid;
      if (mover.moved > 0) tell(`${mover.moved} connections moved to process ${attempt.process.pid}.`, "info");
    } else if (attempt.isOnItsOwn) {
      mover.lose();
      tell(`Process ${attempt.process.pid} ended before it had everything: ${lost}.`, "error");
    } else {
      tell(`Process ${attempt.process.pid} is lost before it had everything: ${lost}.`, "error");
      const resumed = resume();
      mover.lose();
      await resumed;
    }
    passed.closeRest();
    attempt.close();
    this.#attempt = undefined;
  }
}

/** Sends one message after the other, so that only one is in memory, and lets connections have their turn in between. Ends early when the channel does. */
async function sendRest(attempt: Attempt, carried: readonly CarriedState[]): Promise<void> {
  for (const state of saveRest(carried)) {
    await attempt.send({ kind: "state", state });
    await new Promise<void>((resolve) => void setImmediate(resolve));
  }
}

function refuse(reason: string): HandoverOutcome {
  return { kind: "refused", reason };
}

function fail(reason: string): HandoverOutcome {
  return { kind: "failed", reason, code: 1, problems: [] };
}
