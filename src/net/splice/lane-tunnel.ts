import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from "../libc/constants.ts";
import type { Epoll } from "../epoll/epoll.ts";
import { LaneDirection, type LaneTools, type TurnResult } from "./lane-direction.ts";
import type { LaneEnd } from "../conn/lanes.ts";
import type { SharedBudget } from "../conn/shared-budget.ts";
import { TurnPlace } from "../conn/turn-queue.ts";
import { isSocketDead, resetSocket } from "../libc/socket.ts";

/** The side of a tunnel that an event is for: the low bit of an epoll token. */
const clientSide = 0;
const targetSide = 1;

/** Turns to save what a peer sent before its reset. */
const turnsAfterReset = 16;

/** One socket of a tunnel: the direction that reads from it and the one that writes to it. */
interface Side {
  readonly fd: number;
  readonly token: number;
  readonly reading: LaneDirection;
  readonly writing: LaneDirection;
  readonly resetEnd: LaneEnd;
  /** The events that epoll watches for; -1 when it does not watch at all. */
  interest: number;
  /** Both directions of the socket are shut down, which level-triggered epoll reports without end. */
  hungUp: boolean;
}

/** `upFinished` and `downFinished`: the FIN of that direction was passed on before. */
export interface LaneTunnelOptions {
  readonly slot: number;
  /** Tells this tunnel from earlier ones in its slot. */
  readonly generation: number;
  readonly clientFd: number;
  readonly targetFd: number;
  /** Milliseconds without a byte after which it ends; 0 for never. */
  readonly idleMs: number;
  readonly upFinished: boolean;
  readonly downFinished: boolean;
  readonly upBudget?: SharedBudget | undefined;
  readonly downBudget?: SharedBudget | undefined;
  readonly now: number;
}

/** Two sockets and the two directions between them, driven by epoll events. */
export class LaneTunnel {
  readonly slot: number;
  readonly generation: number;
  readonly idleMs: number;
  /** Where it waits for its budget; undefined when nothing limits it. */
  readonly place: TurnPlace<LaneTunnel> | undefined;
  /** When bytes last moved, by the clock of the loop. */
  movedAt: number;
  readonly up: LaneDirection;
  readonly down: LaneDirection;
  readonly #tools: LaneTools;
  readonly #epoll: Epoll;
  readonly #sides: readonly [Side, Side];

  constructor(tools: LaneTools, epoll: Epoll, options: LaneTunnelOptions) {
    this.slot = options.slot;
    this.generation = options.generation;
    this.idleMs = options.idleMs;
    this.movedAt = options.now;
    this.#tools = tools;
    this.#epoll = epoll;
    const { clientFd, targetFd, upFinished, downFinished, upBudget, downBudget } = options;
    this.place = upBudget === undefined && downBudget === undefined ? undefined : new TurnPlace(this);
    this.up = new LaneDirection(tools, { source: clientFd, sink: targetFd, finished: upFinished, budget: upBudget });
    this.down = new LaneDirection(tools, {
      source: targetFd,
      sink: clientFd,
      finished: downFinished,
      budget: downBudget,
    });
    const token = options.slot * 2;
    this.#sides = [
      {
        fd: clientFd,
        token: token + clientSide,
        reading: this.up,
        writing: this.down,
        resetEnd: "client_reset",
        interest: -1,
        hungUp: false,
      },
      {
        fd: targetFd,
        token: token + targetSide,
        reading: this.down,
        writing: this.up,
        resetEnd: "target_reset",
        interest: -1,
        hungUp: false,
      },
    ];
  }

  /** Whether bytes come in bulk: such a tunnel is served after those with small messages. */
  get isBulk(): boolean {
    return this.up.isBulk || this.down.isBulk;
  }

  /** Starts watching both sockets. Returns false when epoll refuses one. */
  watch(): boolean {
    return this.#sides.every((side) => this.#updateInterest(side));
  }

  /**
   * Handles an event of one side: moves at most about a pipeful each way, or a turn of its budget. Returns
   * how the tunnel ended, for the caller to close it; undefined while it goes on.
   */
  handle(sideNumber: number, events: number, now: number): LaneEnd | undefined {
    const side = this.#sides[sideNumber === clientSide ? 0 : 1];
    const other = this.#sides[sideNumber === clientSide ? 1 : 0];
    const before = this.up.bytes + this.down.bytes;
    const end = this.#advance(side, other, events);
    if (this.up.bytes + this.down.bytes !== before) this.movedAt = now;
    return end ?? this.#conclude(side, other);
  }

  /** Whether a direction waits for its budget. */
  get isParked(): boolean {
    return this.up.parked || this.down.parked;
  }

  /** Milliseconds until the budget of a direction is due; Infinity for never. */
  get dueIn(): number {
    return Math.min(this.up.dueIn, this.down.dueIn);
  }

  /** Gives parked directions their turn. Returns as `handle` does. */
  meetBudgets(now: number): LaneEnd | undefined {
    const [client, target] = this.#sides;
    const before = this.up.bytes + this.down.bytes;
    const end =
      this.#settle(this.up.meetBudget(), client, target) ?? this.#settle(this.down.meetBudget(), target, client);
    if (this.up.bytes + this.down.bytes !== before) this.movedAt = now;
    return end ?? this.#conclude(client, target);
  }

  #conclude(side: Side, other: Side): LaneEnd | undefined {
    if (this.up.finished && this.down.finished) return "closed";
    return this.#updateInterest(side) && this.#updateInterest(other) ? undefined : side.resetEnd;
  }

  /**
   * Closes both sockets, unless the tunnel was released: in order when both
   * directions are over, with RST otherwise.
   */
  close(end: LaneEnd): void {
    this.up.drop();
    this.down.drop();
    for (const side of this.#sides) {
      if (side.interest >= 0) this.#epoll.remove(side.fd);
      if (end === "released") continue;
      if (end === "closed") this.#tools.libc.close(side.fd);
      else resetSocket(this.#tools.libc, side.fd);
    }
  }

  #advance(side: Side, other: Side, events: number): LaneEnd | undefined {
    // Without an error, HUP means that both directions of the socket are shut down. Where ours
    // is not, the kernel did it on a reset that an earlier call reported.
    const dead =
      ((events & EPOLLHUP) !== 0 && !side.writing.finished) ||
      ((events & EPOLLERR) !== 0 && isSocketDead(this.#tools.libc, side.fd));
    if (dead) {
      this.#saveRest(side.reading);
      return side.resetEnd;
    }
    side.hungUp = (events & EPOLLHUP) !== 0;
    if ((events & (EPOLLIN | EPOLLHUP)) !== 0 && side.reading.wantsSource) {
      const end = this.#settle(side.reading.takeTurn(true), side, other);
      if (end !== undefined) return end;
    }
    if ((events & EPOLLOUT) !== 0) return this.#settle(side.writing.takeTurn(false), other, side);
    return undefined;
  }

  /** Passes on what a peer sent before its reset. */
  #saveRest(direction: LaneDirection): void {
    for (let turn = 0; turn < turnsAfterReset; turn += 1) {
      const before = direction.bytes;
      // After a reset the stream seems to end: that must not become a FIN.
      if (direction.takeTurnWithoutEnd(true) !== "ok" || direction.bytes === before) return;
    }
  }

  #settle(result: TurnResult, source: Side, sink: Side): LaneEnd | undefined {
    if (result === "ok") return undefined;
    return result === "source" ? source.resetEnd : sink.resetEnd;
  }

  /** Sets the events that epoll watches for. With none a side stays watched for its reset, unless it has hung up. */
  #updateInterest(side: Side): boolean {
    const wanted = (side.reading.wantsSource ? EPOLLIN : 0) | (side.writing.blocked ? EPOLLOUT : 0);
    const quiet = wanted === 0 && side.hungUp;
    const interest = quiet ? -1 : wanted;
    if (interest === side.interest) return true;
    const known = side.interest >= 0;
    side.interest = interest;
    if (quiet) return this.#epoll.remove(side.fd) === 0;
    const { fd, token } = side;
    return known
      ? this.#epoll.modify(fd, wanted, token, this.generation) === 0
      : this.#epoll.add(fd, wanted, token, this.generation) === 0;
  }
}
