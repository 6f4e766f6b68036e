import type { Connect } from "../net/runtime/connect.ts";
import type { ClientProfiles } from "../protocol/tls/read/client-profiles.ts";
import type { Resolver } from "../net/dns/resolver.ts";
import type { Listen } from "../net/runtime/listen.ts";
import type { Forwarding } from "./exchange/forwarding.ts";
import type { Admission } from "./limit/admission.ts";
import type { OwnAddresses } from "./accept/own-addresses.ts";
import type { Captures } from "./record/captures.ts";
import type { Recorder } from "./record/recorder.ts";
import type { Lingering } from "./read/lingering.ts";
import type { RuntimeHolder } from "./runtime.ts";
import type { TunnelEngine } from "./tunnel/tunnel.ts";
import type { Upstreams } from "./upstream/upstreams.ts";
import type { HookReport } from "./hook/call-hook.ts";

/** What all connections of a daemon share, and what outlives a change of the configuration. */
export interface Services {
  readonly runtime: RuntimeHolder;
  readonly admission: Admission;
  readonly recorder: Recorder;
  readonly resolver: Resolver;
  readonly tunnel: TunnelEngine;
  readonly listen: Listen;
  readonly connect: Connect;
  readonly forwarding: Forwarding;
  readonly upstreams: Upstreams;
  /** Connections of clients that have got their last response. */
  readonly lingering: Lingering;
  readonly captures: Captures;
  /** Fingerprints of the clients whose TLS handshakes passed. */
  readonly clientProfiles: ClientProfiles;
  /** Where we listen ourselves, so as never to dial it. */
  readonly own: OwnAddresses;
  /** Tells the operator of a mistake of ours, which ended the connection `id`. */
  reportBug(error: unknown, id: string): void;
  /** Tells the operator of a function of the configuration that failed, and how. */
  reportHook(report: HookReport): void;
  /** Set once, when the daemon begins to shut down. */
  draining: boolean;
}
