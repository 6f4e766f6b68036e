import type { Conn } from "../../net/conn.ts";

/**
 * Clients that have logged in at an origin by NTLM or Negotiate, where the
 * connection is the user (RFC 4559 §4.1): what they have used nobody else gets.
 */
export const boundClients = new WeakSet<Conn>();
