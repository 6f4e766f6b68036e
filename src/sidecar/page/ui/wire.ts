import type * as z from "zod";
import type { approvalsAnswer } from "../../approvals.ts";
import type { certificatesAnswer } from "../../certificates.ts";
import type { liveState, liveTick } from "../../live.ts";
import type { seriesAnswer } from "../../series.ts";
import type { statusAnswer } from "../../status.ts";
import type { tokenAnswer } from "../../token.ts";
import type { tunnelDetails } from "../../tunnel-details.ts";
import type { tunnelRow } from "../../tunnel-row.ts";

// What the sidecar answers. Every text in it may be chosen by a peer.

export type ApprovalsAnswer = z.infer<typeof approvalsAnswer>;
export type OpenApproval = ApprovalsAnswer["approvals"][number];
export type TokenAnswer = z.infer<typeof tokenAnswer>;
export type StatusReport = z.infer<typeof statusAnswer>;
export type SeriesAnswer = z.infer<typeof seriesAnswer>;
export type LiveState = z.infer<typeof liveState>;
export type LiveTick = z.infer<typeof liveTick>;
export type LivePoint = LiveTick["points"][number];
export type TunnelRow = z.infer<typeof tunnelRow>;
export type TlsFields = NonNullable<TunnelRow["tls"]>;
export type TunnelDetails = z.infer<typeof tunnelDetails>;
export type HandshakeMessage = TunnelDetails["handshake"]["messages"][number];
export type CertificatesAnswer = z.infer<typeof certificatesAnswer>;

/** A member of a pool, or a proxy that a PAC file named. */
export interface MemberRow {
  readonly name: string;
  readonly health: string;
  readonly reason?: string;
  readonly since_ms: number;
  readonly ejected_for_ms?: number;
  readonly disabled: boolean;
  readonly backup: boolean;
  readonly weight: number;
  readonly max_connections: number;
  readonly connections: number;
  readonly dialled: number;
  readonly failed: number;
  readonly latency_ms?: { readonly p50: number; readonly p99: number };
}

export interface UpstreamRow {
  readonly name: string;
  readonly kind: string;
  readonly address?: string;
  readonly balance?: string;
  readonly waiting?: number;
  readonly sessions?: number;
  readonly dialling?: number;
  readonly dialled?: number;
  readonly failed?: number;
  readonly from?: string;
  readonly usable?: boolean;
  readonly fault?: string;
  readonly members?: readonly MemberRow[];
}

interface Counts {
  readonly up: number;
  readonly down: number;
  readonly requests: number;
}

export interface Quota {
  readonly limit: number;
  readonly used: number;
  readonly left: number;
  readonly resets_at: string;
}

export interface UserRow {
  readonly user: string;
  readonly open: number;
  readonly rate: { readonly up: number; readonly down: number };
  readonly today: Counts;
  readonly month: Counts;
  readonly refused: Readonly<Record<string, number>>;
  readonly limits?: {
    readonly connections?: number;
    readonly requests_per_second?: number;
    readonly bytes_per_second?: { readonly up?: number; readonly down?: number };
  };
  readonly quota?: { readonly day?: Quota; readonly month?: Quota };
}

export interface UsageAnswer {
  readonly day: string;
  readonly kept: boolean | string;
  readonly usage: readonly UserRow[];
  readonly others: Counts & { readonly number: number };
}
