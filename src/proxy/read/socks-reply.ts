import { encodeSocks4Reply } from "../../protocol/socks/socks4-server.ts";
import {
  encodeSocks5Choice,
  encodeSocks5PasswordStatus,
  encodeSocks5Reply,
} from "../../protocol/socks/socks5-server.ts";
import { describeFailure, type Failure } from "../failure.ts";
import type { Voice } from "./respond.ts";

/**
 * SOCKS5: one byte says why (RFC 1928 §6). Before the request the client waits
 * for something else: the choice of a method, or the verdict on its password.
 */
export const socks5Voice: Voice = {
  sayEstablished: () => encodeSocks5Reply("succeeded"),
  sayRefused(session, failure) {
    if (session.stage === "handshake") {
      // Its greeting was understood as far as that: no method is any good here.
      return failure.detail === "protocol_not_served" ? encodeSocks5Choice("none_acceptable") : new Uint8Array(0);
    }
    if (session.stage !== "authenticate") return encodeSocks5Reply(nameSocks5Reply(failure));
    return session.socksLogin ? encodeSocks5PasswordStatus(false) : encodeSocks5Choice("none_acceptable");
  },
};

/** SOCKS4 knows one way to say no. */
export const socks4Voice: Voice = {
  sayEstablished: () => encodeSocks4Reply("granted"),
  sayRefused: () => encodeSocks4Reply("rejected"),
};

function nameSocks5Reply(failure: Failure): Parameters<typeof encodeSocks5Reply>[0] {
  switch (failure.detail) {
    case "command_not_supported":
      return "command_not_supported";
    case "bad_target":
      return failure.note === "address_type_not_supported" ? "address_type_not_supported" : "general_failure";
    case "connection_refused":
      return "connection_refused";
    case "address_unroutable":
      return "network_unreachable";
    case "dns_error":
    case "dns_timeout":
      return "host_unreachable";
    case "connection_timeout":
      return "ttl_expired";
    default:
      return describeFailure(failure.detail).blame === "policy" ? "not_allowed" : "general_failure";
  }
}
