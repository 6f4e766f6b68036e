import {
  encodeInterfaceDescription,
  encodeInterfaceStatistics,
  encodeSectionHeader,
} from "../../protocol/pcapng/encode-block.ts";
import type { Side } from "../../protocol/pcapng/tcp-synthesiser.ts";
import type { RequestRecord } from "./request-record.ts";
import type { Observer, TunnelEnd, TunnelSide, WatchedTunnel } from "../flow/tunnel.ts";
import type { CaptureFilter } from "./capture-filter.ts";
import {
  type CaptureEntry,
  type CaptureFlow,
  CaptureQueue,
  encodePackets,
  findBreaker,
  findSender,
  openFlow,
  SEGMENT_BYTES,
} from "./capture-flow.ts";
import { escapeText } from "../../escape-text.ts";

export interface CaptureOptions {
  readonly filter: CaptureFilter;
  /** Between clients and the proxy, between the proxy and targets, or both. */
  readonly legs: "client" | "target" | "both";
  /** Bytes kept of a packet; 0 keeps all. */
  readonly snapLength: number;
}

/** What a capture needs of who starts it. */
export interface CaptureMeans {
  readonly id: string;
  /** Name and version of this program. */
  readonly application: string;
  /** Bytes that may wait for the reader. */
  readonly limitBytes: number;
  /** Nanoseconds since the epoch. */
  readonly now: () => bigint;
  /** Told once when it is over. */
  readonly whenOver: () => void;
}

/** Milliseconds of silence after which the reader is told that there still is one: less than a connection may be silent. */
const HEARTBEAT_MS = 10_000;
/** Bytes of packets that are made at once, between which tunnels have their turn. */
const PART_BYTES = 128 * 1024;

const NO_BYTES = new Uint8Array(0);
const LEG_NAMES = {
  client: ["client", "between clients and the proxy; TLS to the proxy is taken off"],
  target: ["target", "between the proxy and targets, or upstream proxies, from the beginning of the tunnel on"],
} as const;

/**
 * A live capture of tunnels in the pcapng format. What passes is queued as it
 * is; packets are made of it when the reader takes them, and what does not fit
 * into the queue is dropped and counted: a tunnel never waits for a capture.
 */
export class Capture {
  readonly options: CaptureOptions;
  readonly id: string;
  readonly #means: CaptureMeans;
  readonly #queue: CaptureQueue;
  readonly #legs: readonly TunnelSide[];
  readonly #startedAt: bigint;
  /** Packets of each interface, written and dropped, and when the numbers last went out. */
  readonly #counts: { received: bigint; dropped: bigint }[];
  readonly #watched = new Set<WatchedTunnel>();
  #headerWritten = false;
  #over = false;
  #farewellWritten = false;
  #wake: (() => void) | undefined;

  constructor(options: CaptureOptions, means: CaptureMeans) {
    this.options = options;
    this.id = means.id;
    this.#means = means;
    this.#queue = new CaptureQueue(means.limitBytes);
    this.#legs = options.legs === "both" ? ["client", "target"] : [options.legs];
    this.#counts = this.#legs.map(() => ({ received: 0n, dropped: 0n }));
    this.#startedAt = means.now();
  }

  /** Makes the observer of one tunnel. */
  observer(record: Pick<RequestRecord, "id" | "user">): Observer {
    return new CaptureObserver(this, record);
  }

  /** Ends it: what waits is still to be read, then the totals. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    for (const tunnel of this.#watched) tunnel.lookAway();
    this.#watched.clear();
    this.#means.whenOver();
    this.#wake?.();
  }

  get over(): boolean {
    return this.#over;
  }

  /** The next blocks, as soon as there are any; undefined after the last. */
  async next(): Promise<Uint8Array | undefined> {
    if (!this.#headerWritten) return this.#writeHeader();
    if (this.#queue.empty && !this.#over) await this.#waitForMore();
    if (!this.#queue.empty) return this.#writePackets();
    if (!this.#over) return this.#writeStatistics();
    if (this.#farewellWritten) return undefined;
    this.#farewellWritten = true;
    return this.#writeStatistics();
  }

  /** Opens the flows of a tunnel; none when there is no room even for that. */
  open(tunnel: WatchedTunnel, comment: string): CaptureFlow[] {
    if (this.#over || !this.#queue.fits(0)) {
      tunnel.lookAway();
      return [];
    }
    this.#watched.add(tunnel);
    return this.#legs.map((leg, interfaceId) => {
      const flow = openFlow(leg, interfaceId, tunnel, comment);
      this.#add(flow, "open", "client", NO_BYTES);
      return flow;
    });
  }

  /** The tunnel is over. */
  leave(tunnel: WatchedTunnel): void {
    this.#watched.delete(tunnel);
  }

  data(flow: CaptureFlow, side: Side, bytes: Uint8Array): void {
    if (this.#over) return;
    if (this.#queue.fits(bytes.length)) {
      this.#add(flow, "data", side, bytes);
      return;
    }
    flow.skipped[side] += bytes.length;
    // The segments that are missing, and what acknowledged them.
    const packets = BigInt(Math.ceil(bytes.length / SEGMENT_BYTES) + 1);
    const counts = this.#counts[flow.interfaceId];
    if (counts === undefined) return;
    counts.received += packets;
    counts.dropped += packets;
  }

  end(flow: CaptureFlow, what: "finish" | "reset" | "moved", side: Side): void {
    if (!this.#over) this.#add(flow, what, side, NO_BYTES);
  }

  #add(flow: CaptureFlow, what: CaptureEntry["what"], side: Side, bytes: Uint8Array): void {
    this.#queue.add({ flow, at: this.#means.now(), what, side, bytes, skipped: flow.skipped });
    flow.skipped = { client: 0, server: 0 };
    this.#wake?.();
  }

  #waitForMore(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), HEARTBEAT_MS);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #writeHeader(): Uint8Array {
    this.#headerWritten = true;
    const comment = "Packets are made up from the bytes that passed through tunnels.";
    const { snapLength } = this.options;
    const blocks = this.#legs.map((leg) => {
      const [name, description] = LEG_NAMES[leg];
      return encodeInterfaceDescription({ name, description, snapLength });
    });
    return Buffer.concat([encodeSectionHeader({ application: this.#means.application, comment }), ...blocks]);
  }

  #writePackets(): Uint8Array {
    const blocks: Uint8Array[] = [];
    let bytes = 0;
    for (let entry = this.#queue.take(); entry !== undefined; entry = this.#queue.take()) {
      const made = encodePackets(entry, this.options.snapLength);
      const counts = this.#counts[entry.flow.interfaceId];
      if (counts !== undefined) counts.received += BigInt(made.length);
      blocks.push(...made);
      bytes += made.reduce((sum, { length }) => sum + length, 0);
      if (bytes >= PART_BYTES) break;
    }
    return Buffer.concat(blocks);
  }

  #writeStatistics(): Uint8Array {
    const timestamp = this.#means.now();
    const blocks = this.#counts.map(({ received, dropped }, interfaceId) =>
      encodeInterfaceStatistics({
        interfaceId,
        timestamp,
        startedAt: this.#startedAt,
        ...(this.#over && { endedAt: timestamp }),
        received,
        dropped,
      }),
    );
    return Buffer.concat(blocks);
  }
}

/** Tells a capture what passes through one tunnel. */
class CaptureObserver implements Observer {
  readonly #capture: Capture;
  readonly #record: Pick<RequestRecord, "id" | "user">;
  #tunnel: WatchedTunnel | undefined;
  #flows: readonly CaptureFlow[] = [];

  constructor(capture: Capture, record: Pick<RequestRecord, "id" | "user">) {
    this.#capture = capture;
    this.#record = record;
  }

  begin(tunnel: WatchedTunnel): void {
    const { id, user } = this.#record;
    const missed = tunnel.passed.up + tunnel.passed.down;
    this.#tunnel = tunnel;
    const comment = [
      `tunnel ${id}`,
      ...(user === undefined ? [] : [`user ${escapeText(user)}`]),
      ...(missed === 0 ? [] : [`${missed} bytes had passed before the capture`]),
    ];
    this.#flows = this.#capture.open(tunnel, comment.join(", "));
  }

  came(from: TunnelSide, bytes: Uint8Array): void {
    this.#pass(from, false, bytes);
  }

  went(to: TunnelSide, bytes: Uint8Array): void {
    this.#pass(to, true, bytes);
  }

  ended(from: TunnelSide): void {
    this.#pass(from, false, undefined);
  }

  finished(to: TunnelSide): void {
    this.#pass(to, true, undefined);
  }

  /** Bytes, or FIN without any, between the proxy and a side. */
  #pass(leg: TunnelSide, sentByProxy: boolean, bytes: Uint8Array | undefined): void {
    const sender = findSender(leg, sentByProxy);
    for (const flow of this.#flows) {
      if (flow.leg !== leg) continue;
      if (bytes === undefined) this.#capture.end(flow, "finish", sender);
      else this.#capture.data(flow, sender, bytes);
    }
  }

  over(end: TunnelEnd): void {
    for (const flow of this.#flows) {
      const breaker = findBreaker(flow.leg, end);
      if (breaker !== undefined) this.#capture.end(flow, "reset", breaker);
    }
    this.#leave();
  }

  moved(): void {
    for (const flow of this.#flows) this.#capture.end(flow, "moved", findSender(flow.leg, true));
    this.#leave();
  }

  #leave(): void {
    if (this.#tunnel !== undefined) this.#capture.leave(this.#tunnel);
    this.#flows = [];
  }
}
