import type { Tell } from "../../operator-message.ts";
import { QuietTeller } from "../../proxy/record/quiet-teller.ts";
import type { FleetChange } from "./fleet.ts";

/** Tells the operator how the fleet is. `name` is the server, as `host:port`. */
export class FleetReporter {
  readonly #tell: Tell;
  readonly #name: string;
  readonly #keys: QuietTeller;

  constructor(name: string, tell: Tell) {
    this.#name = name;
    this.#tell = tell;
    this.#keys = new QuietTeller((message) => tell(message, "warn"));
  }

  report(change: FleetChange): void {
    switch (change.kind) {
      case "lost":
        return this.#tell(
          `${this.#server} ${change.fault.why}. This proxy goes on with its share of the limits and the last known use.`,
          "error",
        );
      case "back":
        return this.#tell(
          `${this.#server} can be used again, after ${formatSeconds(change.afterMs)}. ${change.proxies === 1 ? "No other proxy shares the limits" : `${change.proxies} proxies share the limits`}.`,
          "info",
        );
      case "key": {
        const { key, fault } = change;
        return this.#keys.report(fault.kind, (silenced) => {
          const others = silenced === 0 ? "" : ` The same happened to ${silenced} other exchanges.`;
          return `${this.#server} ${fault.why}. The key ${JSON.stringify(key)} is not shared.${others}`;
        });
      }
    }
  }

  get #server(): string {
    return describeServer(this.#name);
  }
}

/** The server as messages name it. */
export function describeServer(name: string): string {
  return `Redis at ${name} ("state.redis")`;
}

function formatSeconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
