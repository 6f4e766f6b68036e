/** Signals that `serve` handles, and that end the process while nothing listens for them. */
const served: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"];

/** Keeps signals that come before the code that handles them is there. */
export class HeldSignals {
  #came: NodeJS.Signals[] = [];
  readonly #hold = (signal: NodeJS.Signals): void => void this.#came.push(signal);

  constructor(signals: readonly NodeJS.Signals[]) {
    for (const signal of signals) process.on(signal, this.#hold);
  }

  /** Calls `listener` with each of these signals, held or to come, until the returned function is called. */
  listen(signals: readonly NodeJS.Signals[], listener: (signal: string) => void): () => void {
    for (const signal of signals) process.on(signal, listener).off(signal, this.#hold);
    for (const signal of this.#came) if (signals.includes(signal)) queueMicrotask(() => listener(signal));
    this.#came = this.#came.filter((signal) => !signals.includes(signal));
    return () => {
      for (const signal of signals) process.off(signal, listener);
    };
  }
}

/**
 * Holds signals from the start of the process. `main.ts` imports this file
 * first: to load the others takes longer than the start of the runtime, and a
 * signal must not kill a proxy that is about to listen. Other commands than
 * `serve`, which is the default, hold nothing.
 */
export const heldSignals: HeldSignals = new HeldSignals(mayServe(process.argv[2]) ? served : []);

function mayServe(first: string | undefined): boolean {
  return first === undefined || first === "serve" || first.startsWith("-");
}
