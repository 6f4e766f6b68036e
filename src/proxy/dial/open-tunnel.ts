import type { Endpoint } from "../../address/endpoint.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { succeed } from "../failure.ts";
import type { HopAnswer, HopLeg } from "./hop-leg.ts";
import { askHttpUpstream } from "./http-upstream.ts";
import { secureLeg } from "./secure-leg.ts";
import { askSocks4aUpstream, askSocks5Upstream } from "./socks-upstream.ts";

/** The connection to go on with; or why there is none, and whether it is worth dialling `again`. */
export type Opened = { readonly ok: true; readonly value: Conn } | Extract<HopAnswer, { ok: false }>;

/**
 * Asks the upstream at the end of `leg` for a tunnel to `target`, over TLS when
 * it is of that kind. The result is the connection to go on with, its first
 * byte the first one from the target. On failure the caller closes the leg.
 */
export async function openTunnel(leg: HopLeg, target: Endpoint): Promise<Opened> {
  if (leg.hop.kind !== "https") return ask(leg, target);
  const secured = await secureLeg(leg);
  if (!secured.ok) return secured;
  const opened = await ask({ ...leg, conn: secured.value }, target);
  if (!opened.ok) secured.value.reset();
  return opened;
}

async function ask(leg: HopLeg, target: Endpoint): Promise<Opened> {
  const answer = await askUpstream(leg, target);
  return answer.ok ? succeed(leg.conn) : answer;
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
