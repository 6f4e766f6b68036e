import { PROXY_AUTHORIZATION } from "../../protocol/http1/field-names.ts";
import { encodeSocks5Choice, parseSocks5Password } from "../../protocol/socks/socks5-server.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Secret } from "../../secret.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import type { Session } from "../session.ts";
import type { Hello } from "./first-message.ts";
import { writeWhole } from "./write-whole.ts";
import { remainingHandshakeMs } from "./handshake-deadline.ts";
import { readSocksMessage } from "./read-socks-message.ts";

/** What a client shows to say who it is. */
export type Presented =
  /** Values of the `Proxy-Authorization` fields as sent, at least one, and the request that they come with. */
  | { readonly kind: "fields"; readonly values: readonly string[]; readonly method: string; readonly target: string }
  /** User name and password of RFC 1929. */
  | { readonly kind: "password"; readonly user: string; readonly password: Secret }
  | { readonly kind: "nothing" };

const NOTHING: Outcome<Presented> = succeed({ kind: "nothing" });

/** Takes the credentials out of what the client said, or asks for them: SOCKS5 has an exchange of its own for that. */
export function readCredentials(
  session: Session,
  client: Conn,
  hello: Hello,
): Outcome<Presented> | Promise<Outcome<Presented>> {
  switch (hello.protocol) {
    case "http": {
      const { fields } = hello.head;
      if (!fields.has(PROXY_AUTHORIZATION)) return NOTHING;
      const { method, target } = hello.head;
      return succeed({ kind: "fields", values: fields.getAll(PROXY_AUTHORIZATION), method, target });
    }
    case "socks4":
      return NOTHING;
    case "socks5":
      return negotiateSocks5(session, client, hello.greeting);
    default:
      return hello satisfies never;
  }
}

/** RFC 1928 §3: chooses a method. A client that offers a password is asked for it only when the proxy has users. */
async function negotiateSocks5(
  session: Session,
  client: Conn,
  offer: { readonly noAuth: boolean; readonly password: boolean },
): Promise<Outcome<Presented>> {
  const required = session.runtime.authenticator.required && session.certificate === undefined;
  if (offer.noAuth && !required) {
    const told = await writeWhole(client, encodeSocks5Choice("no_auth"), remainingHandshakeMs(session));
    return told ? NOTHING : fail("client_gone");
  }
  if (!offer.password) return fail("credentials_required", { note: "no acceptable SOCKS5 method was offered" });
  const asked = await writeWhole(client, encodeSocks5Choice("password"), remainingHandshakeMs(session));
  if (!asked) return fail("client_gone");
  session.socksLogin = true;
  const read = await readSocksMessage(session, client, parseSocks5Password);
  return read.ok ? succeed({ kind: "password", ...read.value }) : read;
}
