import type { CaptureControl } from "./capture.ts";
import type { Flow, FlowFilter } from "../proxy/record/live-table.ts";

/** Whether new connections are served, and if not, why. */
export type Readiness =
  { readonly ready: true } | { readonly ready: false; readonly reason: "starting" | "draining" | "no_way_out" };

/** Everything that the sidecar may ask of the daemon, and nothing else. */
export interface ControlPort {
  /** Looks for a way out where the default way has one to look for, which takes at most some seconds. */
  readiness(): Readiness | Promise<Readiness>;
  /** The configuration in effect, ready to print: secrets are `[redacted]`. */
  effectiveConfig(): unknown;
  /** Prometheus text format. */
  metricsText(): string;
  /** Tunnels and forwarded requests under way that match. */
  tunnels(filter: FlowFilter): readonly Flow[];
  /** Ends those that match at once, and gives their number. */
  kill(filter: FlowFilter): number;
  /** Captures of tunnels; absent where there are none. */
  readonly captures?: CaptureControl;
}
