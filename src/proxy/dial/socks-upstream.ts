import type { Endpoint } from "../../address/endpoint.ts";
import { encodeSocks4aConnect, parseSocks4Reply } from "../../protocol/socks/socks4-client.ts";
import {
  encodeSocks5Connect,
  encodeSocks5Greeting,
  encodeSocks5Password,
  parseSocks5Choice,
  parseSocks5PasswordReply,
  parseSocks5Reply,
  type Socks5ReplyCode,
} from "../../protocol/socks/socks5-client.ts";
import { type FailureDetail, type Outcome, succeed } from "../failure.ts";
import { hear, type HopLeg, passOnFailure, refuseLogin, say } from "./hop-leg.ts";

/** Bytes; more than the longest reply has: 4 bytes, a name of 255 with its length, a port. */
const MAX_REPLY = 512;

/** Asks a SOCKS5 proxy for a tunnel (RFC 1928), with a password where it wants one (RFC 1929). */
export async function askSocks5Upstream(leg: HopLeg, target: Endpoint): Promise<Outcome<undefined>> {
  const offer = { password: leg.login !== undefined };
  const greeted = say(leg, encodeSocks5Greeting(offer));
  if (!greeted.ok) return greeted;
  const choice = await hear(leg, (bytes) => parseSocks5Choice(bytes, offer), MAX_REPLY);
  if (!choice.ok) return choice;
  if (choice.value === "none_acceptable") {
    return refuseLogin(leg, {
      note: offer.password ? "no offered method is accepted" : "a password is wanted",
    });
  }
  if (choice.value === "password") {
    const shown = await showPassword(leg);
    if (!shown.ok) return shown;
  }
  const asked = say(leg, encodeSocks5Connect(target));
  if (!asked.ok) return asked;
  leg.asked = true;
  const reply = await hear(leg, parseSocks5Reply, MAX_REPLY);
  if (!reply.ok) return reply;
  if (reply.value === "succeeded") return succeed(undefined);
  const detail = socks5Details[reply.value];
  const note = `SOCKS5 ${reply.value}`;
  return passOnFailure(leg, detail, detail === "upstream_refused" ? { note } : { note, isReported: true });
}

async function showPassword(leg: HopLeg): Promise<Outcome<undefined>> {
  const { login } = leg;
  const message = login && encodeSocks5Password(login.user, login.password.reveal());
  if (message === undefined) return refuseLogin(leg, { note: "they have no SOCKS5 form" });
  const said = say(leg, message);
  if (!said.ok) return said;
  const reply = await hear(leg, parseSocks5PasswordReply, MAX_REPLY);
  if (!reply.ok) return reply;
  return reply.value === "accepted" ? succeed(undefined) : refuseLogin(leg, { note: "the password is rejected" });
}

/** A SOCKS5 proxy reports how its own dial ended: that is about the target, unless it refuses us. */
const socks5Details: Readonly<Record<Exclude<Socks5ReplyCode, "succeeded">, FailureDetail>> = {
  general_failure: "upstream_refused",
  not_allowed: "upstream_refused",
  network_unreachable: "address_unroutable",
  host_unreachable: "address_unroutable",
  connection_refused: "connection_refused",
  ttl_expired: "connection_timeout",
  command_not_supported: "upstream_refused",
  address_type_not_supported: "upstream_refused",
  unassigned: "upstream_refused",
};

/** Asks a SOCKS4a proxy for a tunnel. The user id is the only credential that it knows. */
export async function askSocks4aUpstream(leg: HopLeg, target: Endpoint): Promise<Outcome<undefined>> {
  const request = encodeSocks4aConnect(target, leg.login?.user ?? "");
  if (!request.ok) {
    const note = `SOCKS4a ${request.code}`;
    if (request.code === "user_id_invalid") return refuseLogin(leg, { note });
    return passOnFailure(leg, "upstream_refused", { note });
  }
  const asked = say(leg, request.bytes);
  if (!asked.ok) return asked;
  leg.asked = true;
  const reply = await hear(leg, parseSocks4Reply, MAX_REPLY);
  if (!reply.ok) return reply;
  if (reply.value === "granted") return succeed(undefined);
  const more = { note: `SOCKS4 ${reply.value}` };
  return reply.value === "rejected" ? passOnFailure(leg, "upstream_refused", more) : refuseLogin(leg, more);
}
