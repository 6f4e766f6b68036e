import { HeldBytes } from "../../protocol/held-bytes.ts";
import type { ClientProfiles } from "../../protocol/tls/read/client-profiles.ts";
import { fail, type Failure } from "../failure.ts";
import type { TapPort, TunnelTap } from "../flow/tunnel.ts";
import type { InsideFacts } from "./inside-facts.ts";
import { findDemand, InsideReader, type InspectedTunnel } from "./inside-reader.ts";
import { writeRefusalAlert } from "./judge-inside.ts";

const NO_BYTES = new Uint8Array(0);

/**
 * When a client's tunnel gets a tap: at once when the rule that allowed it demands
 * something of its first bytes, with these bytes when only the settings ask for it.
 */
export function planTap(tunnel: InspectedTunnel): "now" | "later" | undefined {
  if (tunnel.target === undefined) return undefined;
  if (findDemand(tunnel) !== undefined) return "now";
  return tunnel.runtime.inspect.tls ? "later" : undefined;
}

/**
 * Shows the first bytes of a tunnel to an `InsideReader`. Nothing is changed.
 * With a demand, the client's bytes are held until they are judged; without
 * one, nothing is held and nothing refused, and a tunnel in which nothing is
 * said pays for no reader.
 */
export class FirstBytesTap implements TunnelTap {
  done = false;
  readonly facts: InsideFacts = { protocol: undefined, tls: undefined, failure: undefined, reported: undefined };
  readonly #tunnel: InspectedTunnel;
  readonly #profiles: ClientProfiles;
  #port: TapPort | undefined;
  /** Made when the first bytes come. */
  #reader: InsideReader | undefined;
  /** The client's bytes that were not judged yet; undefined when none are to be held. */
  #held: HeldBytes | undefined;
  #deadline: Timer | undefined;

  constructor(tunnel: InspectedTunnel, profiles: ClientProfiles) {
    this.#tunnel = tunnel;
    this.#profiles = profiles;
  }

  begin(port: TapPort): void {
    this.#port = port;
    if (findDemand(this.#tunnel) === undefined) return;
    this.#held = new HeldBytes();
    this.#deadline = setTimeout(() => this.#expire(), this.#tunnel.runtime.timeouts.handshakeMs);
  }

  up(chunk: Uint8Array): Uint8Array | undefined {
    if (this.done) return chunk;
    const reader = this.#useReader();
    const failure = reader.up(chunk);
    if (failure !== undefined) return this.#deny(failure);
    if (reader.done) this.done = true;
    if (this.#held === undefined) return chunk;
    if (reader.done || reader.accepted) return this.#release(chunk);
    this.#held.append(chunk);
    return undefined;
  }

  upEnd(): Uint8Array | undefined {
    if (this.#held === undefined) return undefined;
    const failure = this.#useReader().settle("it ends in the middle");
    if (failure !== undefined) return this.#deny(failure);
    this.done = true;
    return this.#release(NO_BYTES);
  }

  down(chunk: Uint8Array): Uint8Array | undefined {
    if (this.done) return chunk;
    const reader = this.#useReader();
    const refusal = reader.down(chunk, this.#held !== undefined);
    if (refusal !== undefined) return this.#deny(refusal.failure, refusal.heard);
    if (reader.done) this.done = true;
    return chunk;
  }

  close(): void {
    this.#stopDeadline();
    this.done = true;
    this.#reader?.finish();
    this.#held = undefined;
  }

  letGo(hurried: boolean): boolean {
    // With a demand it is done soon: its deadline is that of a handshake.
    if (findDemand(this.#tunnel) !== undefined) return false;
    // As long as the client is silent, another tap can begin where this one ends.
    if (this.#reader !== undefined && this.#reader.upBytes > 0 && !hurried) return false;
    this.close();
    return true;
  }

  #useReader(): InsideReader {
    return (this.#reader ??= new InsideReader(this.#tunnel, this.#profiles, this.facts));
  }

  /** The time to speak is over. Silence passes where everything does. */
  #expire(): void {
    const reader = this.#useReader();
    const { handshakeMs } = this.#tunnel.runtime.timeouts;
    const late = fail("first_bytes_timeout", { note: `${reader.upBytes} bytes came in ${handshakeMs} ms` }).failure;
    if (reader.settle("it is not complete in time") !== undefined) {
      this.#deny(late);
      return;
    }
    if (this.facts.reported !== undefined) this.facts.reported = late;
    this.done = true;
    const held = this.#release(NO_BYTES);
    if (held.length > 0) this.#port?.pass(held);
  }

  #deny(failure: Failure, heard = true): undefined {
    const lastWords = this.#reader?.isTls === true && heard ? writeRefusalAlert(failure) : NO_BYTES;
    this.facts.failure = failure;
    this.close();
    this.#port?.refuse(lastWords);
  }

  /** Ends the holding, and gives what was held, with `last` behind it. */
  #release(last: Uint8Array): Uint8Array {
    this.#stopDeadline();
    const held = this.#held;
    this.#held = undefined;
    return held === undefined || held.length === 0 ? last : held.append(last);
  }

  #stopDeadline(): void {
    if (this.#deadline !== undefined) clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }
}
