import { readClockOffset } from "../net/conn/monotonic-clock.ts";
import type { Forwarding, IdleClient } from "../proxy/exchange/forwarding.ts";
import type { TakenTunnel, Tunnel } from "../proxy/flow/tunnel.ts";
import type { Admission } from "../proxy/limit/admission.ts";
import type { LiveTable } from "../proxy/record/live-table.ts";
import type { RequestRecord } from "../proxy/record/request-record.ts";
import type { Movable } from "./movable.ts";
import { writeClient, writeTunnel } from "./move-state.ts";

/** What giving away needs of a gate. */
export interface ReleaseServices {
  readonly live: LiveTable;
  readonly admission: Pick<Admission, "connections">;
  readonly forwarding: Pick<Forwarding, "waiting" | "offer">;
}

/** Tunnels that leave their lanes at once: each lane answers in its own time. */
const BATCH = 64;
/** Milliseconds after which a tunnel moves also in the middle of first bytes that are only noted. */
const PATIENCE_MS = 2000;
/** Milliseconds between two looks at the tunnels that could not move, before and after that: those that are left are mostly TLS. */
const LOOK_MS = 50;
const LATER_LOOK_MS = 500;

/** A tunnel on its way; undefined for one that stays, or that ended instead. */
type Leaving = Movable | undefined | Promise<Movable | undefined>;

/**
 * Gives away what can move, as soon as it can: clients between two requests at
 * once, since nobody here would serve their next one, and tunnels one after the
 * other, as the caller takes them. Ends when no connection is left, or when the
 * caller wants no more; `putBack` gets what was on its way then.
 */
export class Release {
  readonly #services: ReleaseServices;
  readonly #clockOffset: number;
  readonly #putBack: (movable: Movable) => void;
  readonly #beganAt = performance.now();
  /** Clients that were taken and not given away yet. */
  #clients: Movable[] = [];
  #wake: (() => void) | undefined;
  /** The caller wants no more. */
  #isOver = false;

  private constructor(services: ReleaseServices, clockOffset: number, putBack: (movable: Movable) => void) {
    this.#services = services;
    this.#clockOffset = clockOffset;
    this.#putBack = putBack;
  }

  /** Begins to give away. Unlike a generator, it can be ended while it waits: the `next` that waits then gets nothing. */
  static begin(
    services: ReleaseServices,
    putBack: (movable: Movable) => void,
  ): AsyncIterator<Movable, void, undefined> {
    const release = new Release(services, readClockOffset() ?? 0, putBack);
    release.#takeClients();
    const given = release.#run();
    return {
      next: () => given.next(),
      return: async () => {
        release.#isOver = true;
        release.#wake?.();
        const done = await given.return();
        // A generator that never began has no end of its own.
        release.#end();
        return done;
      },
    };
  }

  async *#run(): AsyncGenerator<Movable, void, undefined> {
    try {
      for (;;) {
        yield* this.#giveClients();
        yield* this.#giveTunnels();
        if (this.#isOver || (this.#services.admission.connections === 0 && this.#clients.length === 0)) return;
        if (this.#clients.length === 0) await this.#pause();
      }
    } finally {
      this.#end();
    }
  }

  #end(): void {
    this.#services.forwarding.offer = undefined;
    for (const movable of this.#clients.splice(0)) this.#putBack(movable);
  }

  #takeClients(): void {
    const { forwarding } = this.#services;
    forwarding.offer = (client) => this.#takeClient(client);
    for (const client of forwarding.waiting) this.#takeClient(client);
  }

  #takeClient(client: IdleClient): void {
    const taken = client.take();
    if (taken === undefined) return;
    this.#clients.push({ state: writeClient(taken, this.#clockOffset), descriptors: [taken.fd] });
    this.#wake?.();
  }

  *#giveClients(): Generator<Movable, void, undefined> {
    for (let client = this.#clients.shift(); client !== undefined; client = this.#clients.shift()) yield client;
  }

  async *#giveTunnels(): AsyncGenerator<Movable, void, undefined> {
    const tunnels: [RequestRecord, Tunnel][] = [];
    this.#services.live.visit((record, tunnel) => tunnels.push([record, tunnel]));
    for (let at = 0; at < tunnels.length && !this.#isOver; at += BATCH) {
      const leaving = tunnels.slice(at, at + BATCH).map(([record, tunnel]) => this.#takeTunnel(record, tunnel));
      let given = 0;
      try {
        for (const one of leaving) {
          const movable = await one;
          if (this.#isOver) break;
          given += 1;
          if (movable !== undefined) yield movable;
        }
      } finally {
        for (const one of leaving.slice(given)) {
          const movable = await one;
          if (movable !== undefined) this.#putBack(movable);
        }
      }
    }
  }

  get #isHurried(): boolean {
    return performance.now() - this.#beganAt > PATIENCE_MS;
  }

  #takeTunnel(record: RequestRecord, tunnel: Tunnel): Leaving {
    const taken = record.isWritten ? undefined : tunnel.take?.(this.#isHurried);
    return taken instanceof Promise
      ? taken.then((later) => later && this.#leave(record, later))
      : taken && this.#leave(record, taken);
  }

  #leave(record: RequestRecord, { clientFd, targetFd, before }: TakenTunnel): Movable {
    const state = writeTunnel(record, before, this.#clockOffset);
    record.connection.tunnelTaken?.();
    return { state, descriptors: [clientFd, targetFd] };
  }

  /** Waits for another client, or until it is time to look at the tunnels again. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), this.#isHurried ? LATER_LOOK_MS : LOOK_MS);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
