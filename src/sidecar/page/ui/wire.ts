import type * as z from "zod";
import type { approvalsAnswer } from "../../approvals.ts";
import type { certificatesAnswer } from "../../certificates.ts";
import type { liveState, liveTick } from "../../live.ts";
import type { seriesAnswer } from "../../series.ts";
import type { statusAnswer } from "../../status.ts";
import type { tokenAnswer } from "../../token.ts";
import type { tunnelDetails } from "../../tunnel-details.ts";
import type { tunnelRow } from "../../tunnel-row.ts";
import type { MemberAnswer, PacAnswer, PoolAnswer, SingleAnswer } from "../../upstreams-answer.ts";
import type { UsageAnswer as Usage } from "../../usage-answer.ts";

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

export type { MemberAnswer as MemberRow };

/** A pool, a PAC file or a single upstream. */
export type UpstreamRow = Pick<SingleAnswer, Named> &
  Partial<Omit<PoolAnswer, Named> & Omit<PacAnswer, Named> & Omit<SingleAnswer, Named>>;
type Named = "name" | "kind";

export type UserRow = Omit<Usage["usage"][number], "user" | "limits"> & {
  readonly user: string;
  readonly limits?: {
    readonly connections?: number;
    readonly requests_per_second?: number;
    readonly bytes_per_second?: { readonly up?: number; readonly down?: number };
  };
};

export type Quota = NonNullable<NonNullable<UserRow["quota"]>["day"]>;

export type UsageAnswer = Omit<Usage, "usage"> & { readonly usage: readonly UserRow[] };
