import type { Conn } from "../../net/conn.ts";
import { describeFailure, type Failure } from "../failure.ts";
import type { Session } from "../session.ts";
import { closeLingering } from "./close-lingering.ts";
import { writeRefusal } from "./refusal.ts";

const encoder = new TextEncoder();
const established = new Map<string, Uint8Array>();

/** Tells the client that the tunnel stands. Nothing follows but the tunnel's own bytes (RFC 9110 §9.3.6). */
export function respondEstablished(session: Session, client: Conn): void {
  const { agent } = session.runtime;
  let response = established.get(agent);
  if (response === undefined) {
    response = encoder.encode(`HTTP/1.1 200 Connection Established\r\nProxy-Agent: ${agent}\r\n\r\n`);
    established.set(agent, response);
  }
  session.status = 200;
  client.write(response);
}

/** Tells the client why not, and ends the connection so that the answer arrives. */
export function refuse(session: Session, client: Conn, failure: Failure): void {
  session.failure = failure;
  if (client.closed || failure.detail === "client_gone") {
    client.close();
    return;
  }
  session.status = describeFailure(failure.detail).status;
  client.write(
    writeRefusal(failure, {
      agent: session.runtime.agent,
      id: session.id,
      challenges: session.runtime.authenticator.challenge(),
      withoutBody: session.method === "HEAD",
    }),
  );
  closeLingering(client);
}
