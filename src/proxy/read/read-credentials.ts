import type { Conn } from "../../net/conn/conn.ts";
import { PROXY_AUTHORIZATION } from "../../protocol/http1/field-names.ts";
import type { Presented } from "../auth/identify.ts";
import { type Outcome, succeed } from "../failure.ts";
import type { FirstMessage } from "./first-message.ts";
import type { Socks5Handshake } from "./socks5-handshake.ts";

const NOTHING: Outcome<Presented> = succeed({ kind: "nothing" });

export interface CredentialDemand {
  /** Whether the client must authenticate; `if_offered`: it need not, and is judged by credentials that it has. */
  readonly required: boolean | "if_offered";
  /** Monotonic milliseconds at which `handshake` times out. */
  readonly endsAt: number;
}

/** Finds the credentials in a client's first message. A SOCKS5 client sends them in a message of their own. */
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
