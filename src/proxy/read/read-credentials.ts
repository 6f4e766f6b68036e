import type { Conn } from "../../net/conn/conn.ts";
import { PROXY_AUTHORIZATION } from "../../protocol/http1/field-names.ts";
import type { Presented } from "../auth/identify.ts";
import { type Outcome, succeed } from "../failure.ts";
import type { FirstMessage } from "./first-message.ts";
import type { Socks5Handshake } from "./socks5-handshake.ts";

const NOTHING: Outcome<Presented> = succeed({ kind: "nothing" });

export interface CredentialDemand {
  /** Whether the client has to say who it is. */
  readonly required: boolean;
  /** When the time for the handshake is over, in monotonic milliseconds. */
  readonly endsAt: number;
}

/** Takes the credentials out of a client's first message, or asks for them: SOCKS5 has messages of its own for that. */
export function readCredentials(
  first: FirstMessage,
  client: Conn,
  demand: CredentialDemand,
): Outcome<Presented> | Promise<Outcome<Presented>> {
  switch (first.protocol) {
    case "http": {
      const { fields, method, target } = first.head;
      if (!fields.has(PROXY_AUTHORIZATION)) return NOTHING;
      return succeed({ kind: "fields", values: fields.getAll(PROXY_AUTHORIZATION), method, target });
    }
    case "socks4":
      return NOTHING;
    case "socks5":
      return readPassword(first.handshake, client, demand);
    default:
      return first satisfies never;
  }
}

async function readPassword(
  handshake: Socks5Handshake,
  client: Conn,
  { required, endsAt }: CredentialDemand,
): Promise<Outcome<Presented>> {
  const read = await handshake.readPassword(client, required, endsAt);
  if (!read.ok) return read;
  return read.value === undefined ? NOTHING : succeed({ kind: "password", ...read.value });
}
