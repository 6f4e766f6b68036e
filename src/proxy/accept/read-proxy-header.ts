import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { remainingMs } from "../../net/conn/deadlines.ts";
import { readMessage } from "../../net/conn/read-message.ts";
import { parseProxyHeader } from "../../protocol/proxy-header/proxy-header.ts";
import { fail, type Outcome, succeed } from "../failure.ts";

/** Bytes of the longest PROXY header: version 2 with the TLVs that are read (16 + 4096). */
const MAX_HEADER_BYTES = 4112;

/** Where a client connects from. */
export interface Peer {
  readonly ip: Ip;
  readonly port: number;
}

/**
 * Reads the true client from the PROXY header of a load balancer; undefined for a
 * health check of the load balancer itself (`LOCAL`). `silent`: the peer sent
 * nothing before it closed or timed out.
 */
export async function readProxyHeader(conn: Conn, endsAt: number): Promise<Outcome<Peer | undefined> | "silent"> {
  const limits = { deadlineMs: remainingMs(endsAt), maxBytes: MAX_HEADER_BYTES };
  const read = await readMessage(conn, parseProxyHeader, limits);
  if ((read.kind === "closed" || read.kind === "timeout") && read.received === 0) return "silent";
  switch (read.kind) {
    case "done":
      return succeed(read.value.kind === "proxy" ? read.value.source : undefined);
    case "bad":
      return fail("proxy_header_missing", { note: read.code });
    case "too_large":
      return fail("proxy_header_missing", { note: "too_large" });
    case "timeout":
      return fail("handshake_timeout", { note: "no PROXY header came in time" });
    case "closed":
      return fail("client_gone");
    default:
      return read satisfies never;
  }
}
