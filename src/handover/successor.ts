import type { Tell } from "../operator-message.ts";
import type { Movable } from "../gate/movable.ts";
import { type ChannelOwner, HandoverChannel } from "../net/handover/channel.ts";
import { PassedSockets } from "../net/handover/passed-sockets.ts";
import { InheritedSockets } from "../net/inherited-sockets.ts";
import type { Watch } from "../net/handover/watch.ts";
import { AF_UNIX, F_SETFD, FD_CLOEXEC, SO_DOMAIN, SOL_SOCKET } from "../net/libc/constants.ts";
import { type Libc, openLibc } from "../net/libc/libc.ts";
import { readClockOriginMs } from "../net/libc/monotonic-clock.ts";
import type { Connections, HandoverMessage, Offer } from "../protocol/handover/message.ts";
import { type CarriedState, restoreAll } from "./carried-state.ts";

/** Milliseconds for the offer, which is sent right after the start. */
const OFFER_MS = 10_000;

/** What a successor needs once it serves. */
export interface SuccessorServices {
  readonly watch: Watch;
  /** Serves a connection of the old process; false when it is of a kind that is not known. */
  readonly receive: (movable: Movable) => boolean;
  readonly carried: readonly CarriedState[];
  readonly program: string;
  /** The old process has stopped accepting, or is gone. */
  readonly onConfirmed: () => void;
  readonly tell: Tell;
}

/** This process, as the successor of another one. */
export class Successor implements ChannelOwner {
  /** Listening sockets of the old process, for the listeners that want them. */
  readonly sockets: PassedSockets;
  readonly inherited: InheritedSockets | undefined;
  readonly #libc: Libc;
  readonly #channel: HandoverChannel;
  readonly #offer: Offer;
  readonly #clockShiftMs: number;
  #services: SuccessorServices | undefined;
  #confirmed = false;
  #taken = 0;
  #left = false;
  #over = false;

  private constructor(libc: Libc, channel: HandoverChannel, offer: Offer, descriptors: readonly number[]) {
    this.#libc = libc;
    this.#channel = channel;
    this.#offer = offer;
    this.#clockShiftMs = offer.clockOriginMs - readClockOriginMs();
    this.sockets = new PassedSockets();
    this.sockets.fill(offer.sockets, descriptors);
    this.inherited = InheritedSockets.adopt(this.sockets.takeActivated());
  }

  /** Receives what the old process offers at the descriptor `fd`; says what is wrong when there is nothing. */
  static receive(fd: number): Successor | string {
    const libc = openLibc();
    const domain = new Int32Array(1);
    if (libc === undefined || libc.getSocketOption(fd, SOL_SOCKET, SO_DOMAIN, domain) < 0 || domain[0] !== AF_UNIX)
      return "the descriptor is no Unix socket. Only a proxy that hands over sets it";
    libc.fcntl(fd, F_SETFD, FD_CLOEXEC);
    const channel = new HandoverChannel(libc, fd);
    const first = channel.receiveFirst(OFFER_MS);
    if (typeof first === "string") return first;
    const { message, descriptors } = first;
    if (message.kind !== "offer") return `it began with a message that is no offer (${message.kind})`;
    if (descriptors === undefined)
      return "there are not enough descriptors for its sockets. Raise the limit of open files";
    return new Successor(libc, channel, message, descriptors);
  }

  get predecessor(): Pick<Offer, "pid" | "program"> {
    return this.#offer;
  }

  /** Restores what modules carry over. Before this process serves. */
  restore(carried: readonly CarriedState[], tell: Tell): void {
    this.#restoreAll(carried, this.#offer.state, tell);
  }

  /** Says that this process ends, and why. */
  async fail(code: number, problems: readonly string[]): Promise<void> {
    await this.#channel.send({ kind: "failed", code, problems });
    this.#close();
  }

  /** Says that this process accepts connections, closes the sockets that no listener has taken, and takes connections. */
  accept(services: SuccessorServices): void {
    this.#services = services;
    const used = this.sockets.taken.filter((at) => this.#offer.sockets[at]?.kind !== "activated");
    const activated = this.#offer.sockets.flatMap(({ kind }, at) => (kind === "activated" ? [at] : []));
    this.sockets.closeRest();
    this.#channel.open(this, services.watch);
    void this.#channel.send({
      kind: "ready",
      program: services.program,
      pid: process.pid,
      used: [...used, ...activated].sort((a, b) => a - b),
      takesState: true,
    });
  }

  /** This process has another configuration, perhaps without some listeners: the old one must not hold their ports. */
  settle(): void {
    if (!this.#over && this.#services !== undefined) void this.#channel.send({ kind: "settled" });
  }

  /** This process does not accept any more. */
  leave(): void {
    if (this.#over || this.#left || this.#services === undefined) return;
    this.#left = true;
    void this.#channel.send({ kind: "leaving" });
  }

  onMessage(message: HandoverMessage, descriptors: readonly number[] | undefined): void {
    switch (message.kind) {
      case "confirmed":
        return this.#confirm();
      case "connections":
        return this.#take(message, descriptors);
      case "state":
        return this.#restoreRest(message.state);
      case "done":
        this.#restoreRest(message.state);
        return this.#conclude();
      case "offer":
      case "ready":
      case "failed":
      case "taken":
      case "leaving":
      case "settled":
        for (const fd of descriptors ?? []) this.#libc.close(fd);
        this.#close();
        return this.onEnd(`it sent what only a successor sends (${message.kind})`);
    }
  }

  onEnd(fault?: string): void {
    const { pid } = this.#offer;
    this.#services?.tell(
      fault === undefined
        ? `The old process ${pid} is gone before it had handed over everything. This process serves on.`
        : `The hand-over from process ${pid} ends: ${fault}. This process serves on.`,
      "warn",
    );
    this.#confirm();
    this.#conclude();
  }

  #restoreRest(state: Offer["state"]): void {
    if (this.#services !== undefined) this.#restoreAll(this.#services.carried, state, this.#services.tell);
  }

  #restoreAll(carried: readonly CarriedState[], state: Offer["state"], tell: Tell): void {
    for (const name of restoreAll(carried, state, this.#clockShiftMs))
      tell(`What the old process gave as "${name}" is not understood, and left out.`, "warn");
  }

  #confirm(): void {
    if (this.#confirmed) return;
    this.#confirmed = true;
    this.#services?.onConfirmed();
  }

  #take({ batch, connections }: Connections, descriptors: readonly number[] | undefined): void {
    const refused: number[] = [];
    let from = 0;
    for (const [at, { descriptors: count, state }] of connections.entries()) {
      const own = descriptors?.slice(from, from + count);
      from += count;
      if (own !== undefined && this.#services?.receive({ state, descriptors: own }) === true) this.#taken += 1;
      else {
        refused.push(at);
        for (const fd of own ?? []) this.#libc.close(fd);
      }
    }
    void this.#channel.send({ kind: "taken", batch, refused });
  }

  #conclude(): void {
    if (this.#over) return;
    if (this.#taken > 0)
      this.#services?.tell(`Took ${this.#taken} connections from process ${this.#offer.pid}.`, "info");
    this.#close();
  }

  #close(): void {
    this.#over = true;
    this.#channel.close();
  }
}
