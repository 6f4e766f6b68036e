import type { ApprovalControl } from "./approvals.ts";
import type { CaptureControl } from "./capture.ts";
import type { EventControl } from "./events.ts";
import type { ExplainControl } from "./explain.ts";
import type { Flow, FlowFilter } from "../proxy/record/live-table.ts";
import type { CertificateRow } from "./certificates.ts";
import type { LiveControl } from "./live.ts";
import type { MetricsForm } from "./metrics-text.ts";
import type { SeriesAnswer, SeriesSpan } from "./series.ts";
import type { StatusAnswer } from "./status.ts";
import type { TunnelDetails } from "./tunnel-details.ts";
import type { UsageControl } from "./usage.ts";
import type { UpstreamControl } from "./upstreams.ts";

/** Whether new connections are served, and if not, why. */
export type Readiness = (
  { readonly ready: true } | { readonly ready: false; readonly reason: "starting" | "draining" | "no_way_out" }
) & {
  /** What an operator should look at, though it takes nothing from clients. */
  readonly warning?: string;
};

/** What came of a reload. */
export type ReloadAnswer =
  | { readonly kind: "done"; readonly changes: readonly string[]; readonly warnings: readonly string[] }
  | { readonly kind: "invalid"; readonly problems: readonly string[] }
  | { readonly kind: "refused"; readonly reason: string };

/** How a proxy leaves, and what is left of its connections. */
export interface DrainState {
  /** `lame_duck`: not ready, and still accepting. `ended`: everything is being closed. */
  readonly phase: "serving" | "lame_duck" | "draining" | "ended";
  /** Milliseconds until the phase ends. */
  readonly leftMs?: number;
  /** Client connections, those of tunnels included. */
  readonly connections: number;
  readonly tunnels: number;
  /** Milliseconds since the oldest tunnel opened. */
  readonly oldestMs?: number;
}

/** Draining, as the sidecar may ask for it. */
export interface DrainControl {
  /** Begins to drain; `duration` is how long tunnels have, as in the configuration. */
  begin(
    duration: string | undefined,
  ): { readonly ok: true; readonly state: DrainState } | { readonly ok: false; readonly reason: string };
  /** Takes it back, or says why that cannot be. */
  cancel(): { readonly ok: true } | { readonly ok: false; readonly reason: string };
  /** Stops listening for new connections to the sidecar; false unless the proxy has stopped accepting. */
  yieldAddress(): boolean;
}

/** What came of a hand-over. */
export type HandoverAnswer =
  | { readonly kind: "done"; readonly pid: number; readonly program: string }
  | { readonly kind: "refused"; readonly reason: string }
  /** `code` is 78 when the successor cannot use its configuration. */
  | { readonly kind: "failed"; readonly reason: string; readonly code: number; readonly problems: readonly string[] };

/** What the page and the terminal show. */
export interface LiveView {
  status(): Promise<StatusAnswer>;
  series(span: SeriesSpan): SeriesAnswer;
  tunnel(id: string): TunnelDetails | undefined;
  certificates(): readonly CertificateRow[];
  readonly live: LiveControl;
}

/** The whole interface of the sidecar to the daemon. */
export interface ControlPort {
  /** Probes the default upstream where there is one, which takes at most some seconds. */
  readiness(): Readiness | Promise<Readiness>;
  /** The configuration in effect, ready to print: secrets are `[redacted]`. */
  effectiveConfig(): unknown;
  /** Reads the configuration again and puts it into effect; absent where it comes from no file. */
  readonly reload?: () => Promise<ReloadAnswer>;
  /** Starts a successor, of another executable when one is named, and hands over to it; absent where that cannot be. */
  readonly handOver?: (executable: string | undefined) => Promise<HandoverAnswer>;
  /** The PAC file for a browser that reached the sidecar under this host; undefined when no listener is for browsers. */
  readonly proxyPac?: (host: string) => string | undefined;
  /** Prometheus text format. */
  metricsText(form: MetricsForm): string;
  /** Matching tunnels and forwarded requests in progress. */
  tunnels(filter: FlowFilter): readonly Flow[];
  /** Ends the matching ones at once and returns their number. */
  kill(filter: FlowFilter): number;
  /** Captures of tunnels; absent where there are none. */
  readonly captures?: CaptureControl;
  /** Upstreams and the members of pools; absent where there is no data plane. */
  readonly upstreams?: UpstreamControl;
  /** What would be done with a tunnel; absent where there is no data plane. */
  readonly explain?: ExplainControl;
  /** What was used by whom, and of what; absent where nothing is counted. */
  readonly usage?: UsageControl;
  /** What happens, as it happens; absent where there is no data plane. */
  readonly events?: EventControl;
  /** What operators are asked; absent where there is no data plane. */
  readonly approvals?: ApprovalControl;
  /** What the page and the terminal show; absent where there is no data plane. */
  readonly view?: LiveView;
  /** Absent where the proxy cannot be drained. */
  readonly drain?: DrainControl;
}
