import { floodAddresses, type FloodReport } from "./address-flood.ts";
import { listenEcho } from "./raw-peer.ts";

declare const self: Worker;

/** The flood, a thread of its own: what else is measured does not wait for it. */
export interface FloodOrder {
  readonly port: number;
  readonly addresses: number;
  readonly inFlight: number;
  /** Seconds after which no more addresses come. */
  readonly seconds: number;
}

export type FloodMessage =
  { readonly kind: "progress"; readonly done: number } | { readonly kind: "over"; readonly report: FloodReport };

/** Every so many addresses get the tunnel that they ask for; the others ask for what is refused. */
const TUNNEL_EACH = 20;
const PROGRESS_EACH = 1000;

self.addEventListener("message", ({ data }: MessageEvent<FloodOrder>) => void flood(data));

async function flood(order: FloodOrder): Promise<void> {
  using echo = listenEcho();
  const send = (message: FloodMessage): void => self.postMessage(message);
  const endsAt = performance.now() + order.seconds * 1000;
  const report = await floodAddresses({
    ...order,
    isOver: () => performance.now() >= endsAt,
    targetOf: (number) => (number % TUNNEL_EACH === 0 ? `127.0.0.1:${echo.port}` : "192.0.2.1:443"),
    progress(done) {
      if (done % PROGRESS_EACH === 0) send({ kind: "progress", done });
    },
  });
  send({ kind: "over", report });
}
