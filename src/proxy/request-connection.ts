import type { Conn } from "../net/conn/conn.ts";
import type { ClientProfiles } from "../protocol/tls/read/client-profiles.ts";
import type { Listener } from "./accept/listener.ts";
import type { IdentifyServices, ShownCertificate } from "./auth/identify.ts";
import type { Approvals } from "./decide/ask-operator.ts";
import type { AuthorizeServices } from "./decide/inquiry.ts";
import type { DialServices } from "./dial/dial-context.ts";
import type { ForwardedRequest, ForwardTask } from "./exchange/forward.ts";
import type { Failure } from "./failure.ts";
import type { Quotas } from "./limit/quotas.ts";
import type { RequestLimits } from "./limit/request-limits.ts";
import type { HookReport } from "./hook/call-hook.ts";
import type { Bandwidths } from "./limit/bandwidths.ts";
import type { PacMeans } from "./pac/choose-ways.ts";
import type { Newcomer } from "./read/first-message.ts";
import type { ConnectTargets } from "./read/tunnel-request.ts";
import type { Captures } from "./record/captures.ts";
import type { Recorder } from "./record/recorder.ts";
import type { RequestRecord } from "./record/request-record.ts";
import type { Traffic } from "./flow/flow.ts";
import type { Tracing } from "./trace/tracing.ts";
import type { TunnelEngine, TunnelOwner } from "./flow/tunnel.ts";

/** What requests share. */
export interface RequestServices extends IdentifyServices, AuthorizeServices, DialServices {
  readonly tunnel: TunnelEngine;
  readonly traffic: Traffic;
  readonly recorder: Pick<Recorder, "tunnelOpened">;
  /** The rates of requests, and the counts of targets. */
  readonly requestLimits: RequestLimits;
  /** Absent where no use is counted. */
  readonly quotas: Pick<Quotas, "refuse"> | undefined;
  /** Where operators are asked; absent where nobody can answer. */
  readonly approvals: Approvals | undefined;
  readonly targets: ConnectTargets;
  readonly pacs: PacMeans["router"];
  readonly captures: Pick<Captures, "observers">;
  readonly bandwidths: Bandwidths;
  /** Absent where nothing is traced. */
  readonly tracing?: Pick<Tracing, "follow"> | undefined;
  /** Fingerprints of TLS clients, cached by their ClientHello. */
  readonly clientProfiles: ClientProfiles;
  /** The proxy is draining: no connection is kept for another request. */
  readonly draining: boolean;
  reportHook(report: HookReport): void;
  /** New requests are refused, because the proxy is draining. */
  readonly refusing: boolean;
  /** Clients that have said nothing yet. */
  readonly newcomers: Set<Newcomer>;
}

/** The connection that a request came on, as far as the request needs it. */
export interface RequestConnection extends TunnelOwner {
  readonly listener: Listener;
  readonly services: RequestServices;
  readonly certificate: ShownCertificate | undefined;
  /** The client's connection itself, encrypted where the listener speaks TLS. */
  readonly conn: Conn;
  /** Has a request that was read capture the snapshot in use; or says why its client may not ask any more. */
  beginRequest(record: RequestRecord): Failure | undefined;
  /** Takes a slot for the user of a request, or says why there is none. */
  takeUserSlot(record: RequestRecord): Failure | undefined;
  openForwarded(task: Omit<ForwardTask, "client" | "forwarding" | "upstreams" | "exchange">): ForwardedRequest;
}

/**
 * How a request ended. `kept`: another one may follow. `closed`: the client's
 * connection is still to be closed. `silent`: there was no request, and the
 * client is not there any more. `tunnel`: both connections belong to a tunnel.
 */
export type RequestEnd = "kept" | "closed" | "silent" | "tunnel";
