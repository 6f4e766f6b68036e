import type { Conn } from "../../net/conn/conn.ts";
import {
  encodeSocks5PasswordStatus,
  parseSocks5Request,
  type SocksCommand,
} from "../../protocol/socks/socks5-server.ts";
import type { SocksTarget } from "../../protocol/socks/socks-target.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import type { Session } from "../session.ts";
import type { Hello } from "./first-message.ts";
import { writeWhole } from "./write-whole.ts";
import { remainingHandshakeMs } from "./handshake-deadline.ts";
import { readSocksMessage } from "./read-socks-message.ts";
import { type ForwardRequest, readForwardRequest } from "./forward-request.ts";
import { readConnect, type TunnelRequest } from "./tunnel-request.ts";

/** What a client can want: to be connected, or to have one request carried out. */
export type ClientRequest = TunnelRequest | ForwardRequest;

/** Finds out what the client wants. HTTP and SOCKS4 have said it already, SOCKS5 says it once it is logged in. */
export function readRequest(
  session: Session,
  client: Conn,
  hello: Hello,
): Outcome<ClientRequest> | Promise<Outcome<ClientRequest>> {
  const request = readClientRequest(session, client, hello);
  return request instanceof Promise ? request.then((late) => note(session, late)) : note(session, request);
}

function note(session: Session, request: Outcome<ClientRequest>): Outcome<ClientRequest> {
  if (!request.ok) return request;
  session.target = request.value.target;
  if (request.value.kind === "forward") session.scheme = request.value.scheme;
  return request;
}

function readClientRequest(
  session: Session,
  client: Conn,
  hello: Hello,
): Outcome<ClientRequest> | Promise<Outcome<ClientRequest>> {
  switch (hello.protocol) {
    case "http": {
      const { head } = hello;
      return head.method === "CONNECT" ? readConnect(head) : readForwardRequest(head);
    }
    case "socks4":
      return judgeSocksRequest(session, hello.request);
    case "socks5":
      return readSocks5Request(session, client);
    default:
      return hello satisfies never;
  }
}

async function readSocks5Request(session: Session, client: Conn): Promise<Outcome<TunnelRequest>> {
  const verdict = session.socksLogin ? encodeSocks5PasswordStatus(true) : new Uint8Array(0);
  if (!(await writeWhole(client, verdict, remainingHandshakeMs(session)))) return fail("client_gone");
  const read = await readSocksMessage(session, client, parseSocks5Request);
  return read.ok ? judgeSocksRequest(session, read.value) : read;
}

function judgeSocksRequest(
  session: Session,
  { command, target }: { readonly command: SocksCommand; readonly target: SocksTarget },
): Outcome<TunnelRequest> {
  session.method = command.toUpperCase();
  if (command !== "connect") return fail("command_not_supported", { note: command });
  if (!target.ok) return fail("bad_target", { note: target.code });
  return succeed({ kind: "tunnel", target: target.endpoint });
}
