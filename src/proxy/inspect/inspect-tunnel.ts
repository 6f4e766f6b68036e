import type { Failure } from "../failure.ts";
import type { Session } from "../session.ts";
import type { TapPort, TunnelTap } from "../tunnel/tunnel-tap.ts";
import { FirstBytesTap, type FirstBytesTapOptions } from "./first-bytes-tap.ts";
import type { InsideFacts } from "./inside-facts.ts";
import { PassiveTap } from "./passive-tap.ts";

/**
 * Makes the tap for a client's tunnel: when the settings want to know, or the
 * rule that let it through demands something of what is said inside. What it
 * sees, and why it refuses, goes into the session.
 */
export function inspectTunnel(session: Session): TunnelTap | undefined {
  const { decision, runtime } = session;
  if (session.target === undefined) return undefined;
  if (decision?.verdict === "allow" && decision.inside !== undefined) return createTap(session);
  if (!runtime.inspect.tls) return undefined;
  session.inside = NOTHING_SAID;
  return new PatientTap(session);
}

const NOTHING_SAID: InsideFacts = Object.freeze({ protocol: undefined, tls: undefined });

function createTap(session: Session): TunnelTap | undefined {
  const { decision, target, runtime } = session;
  if (target === undefined) return undefined;
  const demand = decision?.verdict === "allow" ? decision.inside : undefined;
  const facts: InsideFacts = { protocol: undefined, tls: undefined };
  session.inside = facts;
  const options: FirstBytesTapOptions = {
    facts,
    target,
    demand,
    deadlineMs: runtime.timeouts.handshakeMs,
    ja3: runtime.inspect.ja3,
    onDenied: demand === undefined ? denyNothing : noteDenial(session),
  };
  return demand === undefined && !runtime.inspect.ja3 ? new PassiveTap(options) : new FirstBytesTap(options);
}

function denyNothing(): void {
  // Without a demand nothing is refused.
}

function noteDenial(session: Session): (failure: Failure) => void {
  return (failure) => {
    session.failure = failure;
  };
}

/** Waits for the first bytes before it makes what reads them: until then a tunnel pays nothing for it. For where nothing is demanded and so nothing held. */
class PatientTap implements TunnelTap {
  readonly #session: Session;
  #port: TapPort | undefined;
  #tap: TunnelTap | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  get done(): boolean {
    return this.#tap?.done === true;
  }

  begin(port: TapPort): void {
    this.#port = port;
  }

  up(chunk: Uint8Array): Uint8Array | undefined {
    this.#wake();
    return this.#tap === undefined ? chunk : this.#tap.up(chunk);
  }

  upEnd(): Uint8Array | undefined {
    return this.#tap?.upEnd();
  }

  down(chunk: Uint8Array): Uint8Array | undefined {
    this.#wake();
    return this.#tap === undefined ? chunk : this.#tap.down(chunk);
  }

  close(): void {
    this.#tap?.close();
  }

  #wake(): void {
    if (this.#tap !== undefined || this.#port === undefined) return;
    this.#tap = createTap(this.#session);
    this.#tap?.begin(this.#port);
  }
}
