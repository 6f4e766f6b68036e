import type { Ip } from "../../address/ip.ts";
import type { Services } from "../services.ts";
import { openSession } from "../session.ts";
import type { Listener } from "./accept.ts";
import { shareAddress } from "./share-address.ts";

/**
 * Writes down a connection that was reset as soon as it was accepted, because
 * there was no descriptor left to answer it with: the client is not told why,
 * so the log and the metrics have to.
 */
export function recordUnserved(from: Ip, port: number, listener: Listener, { recorder, runtime }: Services): void {
  const session = openSession(runtime.current, shareAddress(from), port, listener.name);
  session.failure = { detail: "out_of_resources", note: "EMFILE" };
  recorder.opened(session);
  recorder.finished(session);
  recorder.closed(session);
}
