import type { Conn } from "../../net/conn/conn.ts";
import { frameRequest } from "../../protocol/http1/message-framing.ts";
import { allowsNextRequest } from "../../protocol/http1/persistence.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import { describeFailure, type Failure } from "../failure.ts";
import { type ClientProtocol, failStage, type Session } from "../session.ts";
import { httpVoice } from "./http-reply.ts";
import { socks4Voice, socks5Voice } from "./socks-reply.ts";
import { writeWhole } from "./write-whole.ts";

/** How to answer in the protocol of the client. */
export interface Voice {
  /** The answer after which nothing follows but the tunnel's own bytes. */
  sayEstablished(session: Session): Uint8Array;
  /** The answer that refuses; it says whether the connection is kept for another request. */
  sayRefused(session: Session, failure: Failure, keeps: boolean): Uint8Array;
}

const voices: Readonly<Record<ClientProtocol, Voice>> = { http: httpVoice, socks5: socks5Voice, socks4: socks4Voice };

/** Tells the client that the tunnel stands. False when it could not be told. */
export function respondEstablished(session: Session, client: Conn): boolean | Promise<boolean> {
  session.status = 200;
  const { idleMs } = session.runtime.timeouts;
  return writeWhole(client, voices[session.protocol ?? "http"].sayEstablished(session), idleMs);
}

/** Whether nothing of a request is left unread, and the client's connection can carry another one. */
function isReadWhole(head: RequestHead | undefined): boolean {
  return head !== undefined && frameRequest(head).kind === "none" && allowsNextRequest(head);
}

/**
 * Tells the client why not. Gives whether the connection is kept: after a whole
 * request to forward that was understood, unless `ending`. Else it is still to be
 * closed.
 */
export function refuse(session: Session, client: Conn, failure: Failure, ending: boolean): boolean | Promise<boolean> {
  session.failure = failure;
  failStage(session);
  if (client.closed || failure.detail === "client_gone") {
    client.close();
    return false;
  }
  const { status, word } = describeFailure(failure.detail);
  // A new certificate takes a new connection.
  const isLast = word === "http_request_error" || failure.detail === "certificate_required";
  const keeps = !ending && !isLast && isReadWhole(session.requestHead);
  session.status = status;
  const refusal = voices[session.protocol ?? "http"].sayRefused(session, failure, keeps);
  const told = writeWhole(client, refusal, session.runtime.timeouts.idleMs);
  if (told instanceof Promise) return told.then((whole) => whole && keeps);
  return told && keeps;
}
