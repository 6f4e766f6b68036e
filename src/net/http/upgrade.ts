import type { Conn } from "../conn/conn.ts";
import { ResponseWriter } from "./response-writer.ts";

/** The connection of a client that changed to another protocol. */
export interface UpgradedSocket {
  /** True once the system has taken all of it, false when the client has left. One call at a time. */
  write(bytes: Uint8Array): Promise<boolean>;
}

/** What speaks the other protocol. */
export interface UpgradedProtocol {
  /** Bytes of the client, lent for the call. */
  data(chunk: Uint8Array): void;
  /** The client sent FIN, or is gone. */
  ended(): void;
  /** Serves the connection. It is closed once this resolves. */
  serve(socket: UpgradedSocket): Promise<void>;
}

/** What a handler gets beside a request: who sends it, and a way to answer by changing to another protocol (RFC 9110 §7.8). */
export class Upgrade {
  /** The network that the request comes from; `unix` on a Unix socket. */
  readonly peer: string;
  accepted: { readonly fields: Readonly<Record<string, string>>; readonly protocol: UpgradedProtocol } | undefined;

  constructor(peer: string) {
    this.peer = peer;
  }

  /** Answers with 101 and these fields. The response is a stand-in: what a handler has to return. */
  accept(fields: Readonly<Record<string, string>>, protocol: UpgradedProtocol): Response {
    this.accepted = { fields, protocol };
    return new Response(null, { status: 204 });
  }
}

/** Serves an upgraded connection to its end. `head` is the response that upgrades it. */
export async function serveUpgraded(conn: Conn, head: Uint8Array, protocol: UpgradedProtocol): Promise<void> {
  const writer = new ResponseWriter(conn, (chunk) => protocol.data(chunk));
  writer.whenGone = () => protocol.ended();
  writer.leavesAtEnd = true;
  if (writer.ended || writer.gone) protocol.ended();
  else if (await writer.write(head)) await protocol.serve(writer);
  writer.release();
}
