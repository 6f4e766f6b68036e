import type { Conn } from "../../net/conn/conn.ts";
import type { Outcome } from "../failure.ts";
import { failHop, type HopLeg } from "./hop-leg.ts";
import { secureConn } from "./secure-conn.ts";

/** Speaks TLS to the upstream at the end of `leg` and verifies it. The result takes the place of the leg's connection. */
export async function secureLeg(leg: HopLeg): Promise<Outcome<Conn>> {
  const { conn, hop, limit } = leg;
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
