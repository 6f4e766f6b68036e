import { readNotes } from "../../src/proxy/tunnel/handshake-notes.ts";
import { ClientProfiles } from "../../src/protocol/tls/read/client-profiles.ts";
import type { Failure } from "../../src/proxy/failure.ts";
import { FirstBytesTap } from "../../src/proxy/tunnel/first-bytes-tap.ts";
import type { InsideDemand } from "../../src/proxy/policy/inside-demand.ts";
import type { InsideFacts } from "../../src/proxy/tunnel/inside-facts.ts";
import type { InspectedTunnel } from "../../src/proxy/tunnel/inside-reader.ts";
import type { Runtime } from "../../src/proxy/runtime.ts";
import type { TunnelTap } from "../../src/proxy/flow/tunnel.ts";
import { buildClientHello, buildMessage, buildRecords, serverName } from "./build-client-hello.ts";
import { makeEndpoint } from "./make-endpoint.ts";
import { POISON } from "./poison-lent-bytes.ts";
import { loadTlsFixture } from "./tls-fixture.ts";

/** A tap without a tunnel, and everything that it lets through. */
export interface TapStand {
  readonly tap: TunnelTap;
  readonly facts: InsideFacts;
  /** What got through so far. */
  readonly up: Buffer;
  readonly down: Buffer;
  readonly failure: Failure | undefined;
  /** What the client was told at the end; undefined as long as nothing was refused. */
  readonly lastWords: Uint8Array | undefined;
  /** Feeds bytes from a side, as a relay does: not after a refusal. */
  feed(from: "client" | "server", bytes: Uint8Array | string): void;
  /** The client's FIN. */
  end(): void;
  /** Resolves when bytes get through at another time than when they come, or the tunnel is refused. */
  readonly moved: Promise<void>;
}

export interface TapStandOptions {
  readonly demand?: InsideDemand;
  readonly target?: string;
  readonly ja3?: boolean;
  readonly deadlineMs?: number;
}

export function makeTapStand(options: TapStandOptions = {}): TapStand {
  const { demand, target = "server.example:443", ja3 = false, deadlineMs = 60_000 } = options;
  const passed: Record<"up" | "down", Uint8Array[]> = { up: [], down: [] };
  const { promise: moved, resolve } = Promise.withResolvers<void>();
  let lastWords: Uint8Array | undefined;
  const tunnel: InspectedTunnel = {
    runtime: { inspect: { tls: true, ja3 }, timeouts: { handshakeMs: deadlineMs } } as Runtime,
    decision: { verdict: "allow", rule: "r", allowPrivate: false, via: [], ...(demand && { inside: demand }) },
    target: makeEndpoint(target),
  };
  const tap = new FirstBytesTap(tunnel, new ClientProfiles());
  const keep = (way: "up" | "down", bytes: Uint8Array | undefined): void => {
    if (bytes !== undefined) passed[way].push(new Uint8Array(bytes));
  };
  tap.begin({
    pass: (bytes) => {
      keep("up", bytes);
      resolve();
    },
    refuse: (words) => {
      lastWords = words;
      resolve();
    },
  });
  return {
    tap,
    moved,
    facts: tap.facts,
    get up() {
      return Buffer.concat(passed.up);
    },
    get down() {
      return Buffer.concat(passed.down);
    },
    get failure() {
      return tap.facts.failure;
    },
    get lastWords() {
      return lastWords;
    },
    feed(from, bytes) {
      if (lastWords !== undefined) return;
      // Lent, as those of a connection are.
      const chunk = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : new Uint8Array(bytes);
      if (from === "client") keep("up", tap.up(chunk));
      else keep("down", tap.down(chunk));
      chunk.fill(POISON);
    },
    end() {
      if (lastWords === undefined) keep("up", tap.upEnd());
    },
  };
}

/** The facts without times, which differ from run to run; whether the handshake was timed stays. */
export function forgetTimes({ tls, ...rest }: InsideFacts): object {
  if (tls === undefined) return { ...rest, tls };
  const messages = readNotes(tls.messages).map((message) => ({ ...message, atMs: 0 }));
  return { ...rest, tls: { ...tls, messages, helloAt: 0, handshakeMs: tls.handshakeMs !== undefined } };
}

/** A demand of TLS, and of what else is given. */
export function demandTls(more: Partial<InsideDemand> = {}): InsideDemand {
  return { protocols: new Set(["tls"]), ...more };
}

/** Replays a recorded connection through a tap, in pieces of `pieceBytes`. */
export function replayThroughTap(name: string, options: TapStandOptions = {}, pieceBytes = Infinity): TapStand {
  const stand = makeTapStand(options);
  for (const { from, bytes } of loadTlsFixture(name).segments)
    for (let at = 0; at < bytes.length; at += pieceBytes) stand.feed(from, bytes.subarray(at, at + pieceBytes));
  return stand;
}

/** A ClientHello for a name, in a record. */
export function recordHello(name: string): Uint8Array {
  return buildRecords(22, buildMessage(1, buildClientHello({ extensions: [serverName(name)] })));
}
