import type { Endpoint } from "../../address/endpoint.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { type Outcome, succeed } from "../failure.ts";
import { failHop, type HopAnswer, type HopLeg } from "./hop-leg.ts";
import { askHttpUpstream } from "./http-upstream.ts";
import { secureConn } from "./secure-conn.ts";
import { askSocks4aUpstream, askSocks5Upstream } from "./socks-upstream.ts";

/** The connection to go on with; or why there is none, and whether to dial `again`. */
export type Opened = { readonly ok: true; readonly value: Conn } | Extract<HopAnswer, { ok: false }>;

/**
 * Asks the upstream at the end of `leg` for a tunnel to `target`, over TLS when
 * the upstream speaks it. The first byte of the resulting connection is the
 * target's. On failure the caller closes the leg.
 */
export async function openTunnel(leg: HopLeg, target: Endpoint): Promise<Opened> {
  const secured = await secureLeg(leg);
  if (!secured.ok) return secured;
  const conn = secured.value;
  const answer = await askUpstream({ ...leg, conn }, target);
  if (answer.ok) return secured;
  if (conn !== leg.conn) conn.reset();
  return answer;
}

function askUpstream(leg: HopLeg, target: Endpoint): Promise<HopAnswer> {
  switch (leg.hop.kind) {
    case "http":
    case "https":
      return askHttpUpstream(leg, target);
    case "socks5":
    case "socks5h":
      return askSocks5Upstream(leg, target);
    case "socks4a":
      return askSocks4aUpstream(leg, target);
    default:
      return leg.hop.kind satisfies never;
  }
}

/**
 * Speaks TLS to the upstream at the end of `leg` and verifies it, when the
 * upstream is of that kind. The result replaces the connection of the leg.
 */
export async function secureLeg(leg: HopLeg): Promise<Outcome<Conn>> {
  const { conn, hop, limit } = leg;
  if (hop.kind !== "https") return succeed(conn);
  const { serverName, ca, cert, key } = hop.tls ?? { serverName: hop.endpoint.host.text };
  const options = {
    serverName,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
  const secured = await secureConn(conn, options, limit);
  if (secured.ok || secured.failure.detail === "client_gone") return secured;
  const { detail, note } = secured.failure;
  return failHop(
    leg,
    detail === "connection_timeout" ? "upstream_timeout" : detail,
    note === undefined ? {} : { note },
  );
}
