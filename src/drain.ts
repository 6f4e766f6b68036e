import type { Tell } from "./operator-message.ts";
import type { Gate } from "./gate/gate.ts";
import { withinMs } from "./net/conn/time-limit.ts";
import { explainBinding } from "./prepare-listeners.ts";
import type { DrainState } from "./sidecar/control-port.ts";

/** Milliseconds between two messages on what is left. */
const PROGRESS_MS = 5000;
/** The same after a hand-over, when nobody waits for this process. */
const HANDED_OVER_PROGRESS_MS = 60_000;
/** Milliseconds for the last lines and the sidecar, after the time for tunnels. The reader of the output may hang. */
const CLOSING_MS = 2000;

export interface DrainOptions {
  readonly gate: Gate;
  /** Milliseconds for which connections are still accepted, and those for tunnels to end after that. */
  readonly times: () => { readonly lameDuckMs: number; readonly drainMs: number };
  /** Tells the operator. */
  readonly tell: Tell;
  /** Is told of each step, and of what is left every few seconds. */
  readonly onStep?: (state: DrainState) => void;
  /** Ends what is left and closes everything. */
  readonly close: () => Promise<void>;
  /** Milliseconds between two messages on what is left. Default: 5,000. */
  readonly progressMs?: number;
}

/** What became of an attempt to take a drain back. */
export type DrainCancel = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/**
 * How a proxy leaves: it says that it is not ready and still serves (lame duck),
 * stops accepting, gives tunnels their time, ends those that are left, and closes.
 */
export class Drain {
  /** Resolves when everything is closed, whoever asked for it. */
  readonly ended: Promise<void>;
  readonly #options: DrainOptions;
  readonly #end = Promise.withResolvers<void>();
  #phase: DrainState["phase"] = "serving";
  /** Monotonic milliseconds at which the phase ends. */
  #until = Infinity;
  /** Milliseconds that tunnels will have. */
  #tunnelMs = 0;
  /** Somebody asked for the end after a hand-over, too. */
  #isToldToEnd = false;
  /** Changes when a drain is begun, taken back or over. */
  #epoch = 0;
  /** It cannot be taken back. */
  #final = false;
  #timer: NodeJS.Timeout | undefined;
  /** The process that has taken over, and what waits for connections on their way to it. */
  #handedOver: { readonly pid: number; readonly settle: () => Promise<void> } | undefined;
  #whenTakenBack = Promise.withResolvers<"resumed">();

  constructor(options: DrainOptions) {
    this.#options = options;
    this.ended = this.#end.promise;
  }

  get phase(): DrainState["phase"] {
    return this.#phase;
  }

  /** Resolves when everything is closed, or when the drain under way was taken back. */
  get outcome(): Promise<"ended" | "resumed"> {
    return Promise.race([this.ended.then(() => "ended" as const), this.#whenTakenBack.promise]);
  }

  /**
   * Begins to drain, or gives tunnels another time while that is under way. `by`
   * is who asked. Without `tunnelMs` tunnels have the time of the configuration,
   * and a drain under way goes on as it is. A `final` one cannot be taken back.
   */
  begin(by: string, tunnelMs?: number, final = false): DrainState {
    const { tell } = this.#options;
    this.#final ||= final;
    const { drainMs, lameDuckMs } = this.#options.times();
    const time = describeMs(tunnelMs ?? drainMs);
    if (this.#phase === "serving") {
      this.#tunnelMs = tunnelMs ?? drainMs;
      if (lameDuckMs > 0) {
        tell(
          `${by}: not ready any more, still accepting connections for ${describeMs(lameDuckMs)}; then tunnels have ${time} to end. A second signal ends them at once.`,
          "info",
        );
        this.#enter("lame_duck", lameDuckMs);
      } else {
        tell(
          `${by}: accepting no more connections; tunnels have ${time} to end. A second signal ends them at once.`,
          "info",
        );
        this.#stopAccepting();
      }
    } else if (tunnelMs !== undefined && this.#phase !== "ended") {
      this.#isToldToEnd = true;
      tell(`${by}: tunnels have ${time} to end.`, "info");
      this.#tunnelMs = tunnelMs;
      // After a hand-over idle clients were left their next request.
      if (this.#handedOver !== undefined) this.#options.gate.windDown();
      if (this.#phase === "draining") this.#enter("draining", tunnelMs);
    }
    return this.state();
  }

  /**
   * Leaves because the process `pid` accepts connections, and this one has stopped
   * that. What does not move has `ms` milliseconds. `settle` waits for connections
   * that are on their way; some of them can come back.
   */
  handOver(pid: number, ms: number, settle: () => Promise<void>): void {
    this.#handedOver = { pid, settle };
    this.#isToldToEnd = false;
    this.#tunnelMs = ms;
    if (this.#options.gate.admission.connections > 0)
      this.#options.tell(`What does not move to process ${pid} has ${describeMs(ms)} to end.`, "info");
    this.#enter("draining", ms);
    this.#awaitEmpty();
  }

  /** Takes `handOver` back: the other process is gone. False when this one was told to end meanwhile, and when a listener cannot be opened again. */
  takeOverAgain(): boolean {
    if (this.#handedOver === undefined || this.#phase !== "draining" || this.#isToldToEnd) return false;
    const { pid } = this.#handedOver;
    this.#handedOver = undefined;
    return this.cancel(`Process ${pid} is gone`).ok;
  }

  /** Takes a drain back. The listeners are bound again: all of them, or the drain goes on. */
  cancel(by: string): DrainCancel {
    if (this.#phase === "serving") return { ok: false, reason: "The proxy does not drain." };
    if (this.#handedOver !== undefined)
      return { ok: false, reason: `The proxy has handed over to process ${this.#handedOver.pid}.` };
    if (this.#phase === "ended") return { ok: false, reason: "The drain is over: the proxy ends." };
    if (this.#final) {
      const reason =
        "The service manager stops this process, and ends it at its own time (TimeoutStopSec=) in any case. The drain goes on: start the service again when it is over.";
      return { ok: false, reason };
    }
    if (this.#phase === "draining") {
      const resumed = this.#options.gate.resume();
      if (!resumed.ok) {
        const reason = `${explainBinding(resumed.plan, resumed.code)} The drain goes on.`;
        this.#options.tell(`${by}: cannot take the drain back. ${reason}`, "error");
        return { ok: false, reason };
      }
    }
    this.#enter("serving", Infinity);
    this.#whenTakenBack.resolve("resumed");
    this.#whenTakenBack = Promise.withResolvers();
    this.#options.tell(`${by}: the drain is taken back, accepting connections again.`, "info");
    return { ok: true };
  }

  /** Ends everything at once. */
  stop(): Promise<void> {
    this.#finish();
    return this.ended;
  }

  /** The phase, and what is left. */
  state(): DrainState {
    const { live, admission } = this.#options.gate;
    const oldestMs = live.oldestAgeMs(performance.now());
    return {
      phase: this.#phase,
      ...(Number.isFinite(this.#until) && { leftMs: Math.max(0, Math.round(this.#until - performance.now())) }),
      connections: admission.connections,
      tunnels: live.size,
      ...(oldestMs !== undefined && { oldestMs: Math.round(oldestMs) }),
    };
  }

  #enter(phase: DrainState["phase"], ms: number): void {
    clearTimeout(this.#timer);
    this.#epoch += 1;
    this.#phase = phase;
    this.#until = performance.now() + ms;
    this.#options.onStep?.(this.state());
    if (phase === "lame_duck" || phase === "draining") this.#wait();
  }

  #stopAccepting(): void {
    const { gate } = this.#options;
    gate.beginDrain();
    this.#enter("draining", this.#tunnelMs);
    this.#awaitEmpty();
  }

  #awaitEmpty(): void {
    const { admission } = this.#options.gate;
    const epoch = this.#epoch;
    const handedOver = this.#handedOver;
    void admission.untilEmpty().then(async () => {
      await handedOver?.settle();
      if (this.#phase !== "draining") return;
      if (handedOver !== undefined && admission.connections > 0) this.#awaitEmpty();
      // Connections that came after a drain was taken back are of no later one.
      else if (epoch === this.#epoch || admission.connections === 0) this.#finish();
    });
  }

  #wait(): void {
    const left = Math.max(0, this.#until - performance.now());
    const usualMs = this.#options.progressMs ?? PROGRESS_MS;
    const progressMs = this.#handedOver === undefined ? usualMs : HANDED_OVER_PROGRESS_MS;
    this.#timer = setTimeout(() => this.#look(), Math.min(left, progressMs));
  }

  #look(): void {
    const { tell } = this.#options;
    const state = this.state();
    // Timers can fire a part of a millisecond early.
    if (this.#until - performance.now() >= 1) {
      this.#options.onStep?.(state);
      tell(`${state.phase === "draining" ? "Draining" : "Still accepting"}: ${describeDrain(state)}.`, "info");
      this.#wait();
    } else if (state.phase === "lame_duck") {
      tell(`Accepting no more connections; tunnels have ${describeMs(this.#tunnelMs)} to end.`, "info");
      this.#stopAccepting();
    } else {
      if (state.connections > 0) tell(`The time for tunnels is over: ending ${describeConnections(state)}.`, "warn");
      this.#finish();
    }
  }

  #finish(): void {
    if (this.#phase === "ended") return;
    this.#enter("ended", Infinity);
    void withinMs(this.#options.close(), CLOSING_MS).then(this.#end.resolve, this.#end.reject);
  }
}

/** `12 tunnels, oldest 3 h, 4.1 s left`. */
export function describeDrain(state: DrainState): string {
  const oldest = state.oldestMs === undefined ? "" : `, oldest ${describeMs(state.oldestMs)}`;
  const left = state.leftMs === undefined ? "" : `, ${describeMs(state.leftMs)} left`;
  return `${describeConnections(state)}${oldest}${left}`;
}

function describeConnections({ tunnels, connections }: DrainState): string {
  const others = connections - tunnels;
  const texts = [
    ...(tunnels > 0 || others <= 0 ? [`${tunnels} ${tunnels === 1 ? "tunnel" : "tunnels"}`] : []),
    ...(others > 0 ? [`${others} other ${others === 1 ? "connection" : "connections"}`] : []),
  ];
  return texts.join(" and ");
}

/** `4.1 s`, `42 s`, `5 min`, `3 h`, `4 d`: with two digits where that helps. */
function describeMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${Number((ms / 1000).toFixed(1))} s`;
  if (ms < 119_500) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_170_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_000_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}
