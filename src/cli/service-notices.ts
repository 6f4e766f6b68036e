import type { Tell } from "../operator-message.ts";
import type { Daemon } from "../daemon.ts";
import { describeDrain } from "../drain.ts";
import { ServiceManager } from "../net/service-manager.ts";
import type { DrainState } from "../sidecar/control-port.ts";
import type { CliIo } from "./io.ts";

/** Milliseconds beyond the end of a drain that the service manager gives before it kills the process. */
const CLOSING_MS = 10_000;

/** Tells the service manager (sd_notify(3)) how the proxy is. Without one it does nothing. */
export class ServiceNotices {
  readonly #variables: CliIo["variables"];
  readonly #manager: ServiceManager | undefined;
  #serving = "";
  /** Another process has taken over: the manager listens to that one. */
  #isSilent = false;
  #watchdog: NodeJS.Timeout | undefined;

  constructor({ variables }: Pick<CliIo, "variables">, tell: Tell) {
    this.#variables = variables;
    const socket = variables["NOTIFY_SOCKET"];
    if (socket === undefined || socket === "") return;
    this.#manager = ServiceManager.open(socket, (code) =>
      tell(`Cannot tell the service manager anything at NOTIFY_SOCKET: the system says ${code}.`, "error"),
    );
    if (this.#manager === undefined)
      tell(
        "Cannot use NOTIFY_SOCKET: it is neither an absolute path nor an abstract name, or this is not Linux.",
        "error",
      );
  }

  /** Whether there is a service manager. */
  get isManaged(): boolean {
    return this.#manager !== undefined;
  }

  /** The listeners accept connections, also after a reload, whether it succeeded or not. */
  ready(daemon: Pick<Daemon, "listeners">, reload: "succeeded" | "failed" = "succeeded"): void {
    const failed = reload === "failed" ? " The last reload failed: the journal says why." : "";
    this.#serving = `Serving on ${daemon.listeners.map(({ text }) => text).join(", ")}.${failed}`;
    this.#send({ READY: "1", STATUS: this.#serving });
  }

  /** Another process accepts connections from now on. The manager takes its messages after this one. */
  handedOver(pid: number): void {
    this.#send({ READY: "1", MAINPID: String(pid), STATUS: `Handed over to process ${pid}.` });
    this.#isSilent = true;
  }

  /** That process is gone, and this one accepts again. */
  resumed(): void {
    this.#isSilent = false;
    this.#send({ READY: "1", MAINPID: String(process.pid), STATUS: this.#serving });
  }

  /** The configuration is being read again. `ready` follows in any case. */
  reloading(): void {
    if (!this.#isSilent) this.#manager?.reloading();
  }

  /** A signal said to end. */
  stopping(): void {
    this.#send({ STOPPING: "1" });
  }

  /** How a drain goes. One that no signal began may be taken back, so it is not told as the end. */
  draining(state: DrainState): void {
    switch (state.phase) {
      case "serving":
        return this.#send({ STATUS: this.#serving });
      case "ended":
        return this.#send({ STOPPING: "1", STATUS: "Closing." });
      default:
        // Without it the manager kills a process that drains for longer than TimeoutStopSec=.
        return this.#send({
          STATUS: `Draining: ${describeDrain(state)}.`,
          EXTEND_TIMEOUT_USEC: String(((state.leftMs ?? 0) + CLOSING_MS) * 1000),
        });
    }
  }

  /**
   * Feeds the watchdog at half its time, once the event loop has taken a turn that
   * was asked for. A loop that is stuck takes none.
   */
  watch(daemon: Pick<Daemon, "afterTurn">): void {
    const manager = this.#manager;
    const { WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = this.#variables;
    const ms = Number(usec) / 1000;
    if (manager === undefined || !(ms >= 1) || (pid !== undefined && pid !== String(process.pid))) return;
    const feed = (): void => daemon.afterTurn(() => this.#send({ WATCHDOG: "1" }));
    feed();
    this.#watchdog = setInterval(feed, Math.max(1, ms / 2));
  }

  #send(fields: Readonly<Record<string, string>>): void {
    if (!this.#isSilent) this.#manager?.send(fields);
  }

  close(): void {
    clearInterval(this.#watchdog);
  }
}
