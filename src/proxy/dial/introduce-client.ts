import { type Ip, parseIp } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { encodeProxyHeaderV1 } from "../../protocol/proxy-header/proxy-header-v1.ts";
import { encodeProxyHeaderV2 } from "../../protocol/proxy-header/proxy-header-v2.ts";
import type { ProxyProtocolVersion } from "../policy/decision.ts";

/** The client that a connection is made for. */
export interface Introduced {
  readonly client: Ip;
  readonly clientPort: number;
}

/**
 * Writes the PROXY header that comes before everything else: the true client, and
 * the address that it connected to. Without a client's connection it is of the kind "local".
 */
export function introduceClient(
  version: ProxyProtocolVersion,
  { client, clientPort }: Introduced,
  conn: Conn | undefined,
): Uint8Array {
  // A link-local address comes with its zone.
  const local = conn && parseIp(conn.localAddress.split("%", 1)[0] ?? "");
  if (conn === undefined || local === undefined) {
    return version === 1 ? encodeProxyHeaderV1({ kind: "local" }) : encodeProxyHeaderV2({ kind: "local" });
  }
  const source = { ip: client, port: clientPort };
  const destination = { ip: local, port: conn.localPort };
  return version === 1
    ? encodeProxyHeaderV1({ kind: "proxy", source, destination })
    : encodeProxyHeaderV2({ kind: "proxy", source, destination, tlvs: [] });
}
