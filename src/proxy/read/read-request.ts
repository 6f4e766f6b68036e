import type { Conn } from "../../net/conn/conn.ts";
import type { SocksTarget } from "../../protocol/socks/socks-target.ts";
import type { SocksCommand } from "../../protocol/socks/socks5-server.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import type { FirstMessage } from "./first-message.ts";
import { type ForwardRequest, readForwardRequest } from "./forward-request.ts";
import type { Socks5Handshake } from "./socks5-handshake.ts";
import { type ConnectTargets, readConnect, type TunnelRequest } from "./tunnel-request.ts";

export type ClientRequest = TunnelRequest | ForwardRequest;

/** The request, or why there is none; with the command of a SOCKS client once it was read. */
export type RequestRead = Outcome<ClientRequest> & { readonly command?: SocksCommand };

/** Reads the request. With HTTP and SOCKS4 it is in the first message, with SOCKS5 it follows the login. */
export function readRequest(
  first: FirstMessage,
  client: Conn,
  targets: ConnectTargets,
  endsAt: number,
): RequestRead | Promise<RequestRead> {
  switch (first.protocol) {
    case "http":
      return first.head.method === "CONNECT" ? readConnect(first.head, targets) : readForwardRequest(first.head);
    case "socks4":
      return judgeSocksRequest(first.request);
    case "socks5":
      return readSocks5Request(first.handshake, client, endsAt);
    default:
      return first satisfies never;
  }
}

async function readSocks5Request(handshake: Socks5Handshake, client: Conn, endsAt: number): Promise<RequestRead> {
  const read = await handshake.readRequest(client, endsAt);
  return read.ok ? judgeSocksRequest(read.value) : read;
}

function judgeSocksRequest({
  command,
  target,
}: {
  readonly command: SocksCommand;
  readonly target: SocksTarget;
}): RequestRead {
  if (command !== "connect") return { ...fail("command_not_supported", { note: command }), command };
  if (!target.ok) return { ...fail("bad_target", { note: target.code }), command };
  return { ...succeed({ kind: "tunnel", target: target.endpoint } as const), command };
}
