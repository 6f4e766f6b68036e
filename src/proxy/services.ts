import type { Resolver } from "../net/dns.ts";
import type { Admission } from "./listen/admission.ts";
import type { Recorder } from "./record/recorder.ts";
import type { RuntimeHolder } from "./runtime.ts";
import type { TunnelEngine } from "./tunnel/tunnel.ts";

/** What all connections of a daemon share, and what outlives a change of the configuration. */
export interface Services {
  readonly runtime: RuntimeHolder;
  readonly admission: Admission;
  readonly recorder: Recorder;
  readonly resolver: Resolver;
  readonly tunnel: TunnelEngine;
  /** Whether an address and a port are those of one of our own listeners. */
  isSelf(address: string, port: number): boolean;
  /** Set once, when the daemon begins to shut down. */
  draining: boolean;
}
