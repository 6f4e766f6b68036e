import { encodeSocks4Reply } from "../../protocol/socks/socks4-server.ts";
import { encodeSocks5Choice } from "../../protocol/socks/socks5-server.ts";
import { formatProxyStatus } from "../../protocol/http1/proxy-status.ts";
import type { Reported } from "../policy/decision.ts";
import type { ClientProtocol } from "../record/request-record.ts";
import type { Runtime } from "../runtime.ts";
import { type Refusal, writeRefusal } from "./refusal.ts";

/** Replies in the protocol of a client. */
export interface Reply {
  /** The reply before the bytes of the tunnel. `reported`: why it would have been refused. */
  formatEstablished(runtime: Pick<Runtime, "established" | "agent">, reported?: Reported): Uint8Array;
  formatRefusal(refusal: Refusal): Uint8Array;
}

export const httpReply: Reply = {
  formatEstablished: ({ established, agent }, reported) =>
    reported === undefined ? established : writeEstablished(agent, reported),
  formatRefusal: writeRefusal,
};

/** SOCKS4 has one code for every refusal. */
export const socks4Reply: Reply = {
  formatEstablished: () => encodeSocks4Reply("granted"),
  formatRefusal: () => encodeSocks4Reply("rejected"),
};

/** A client understands it as the answer to the greeting that it sends. */
const socks5ReplyUnasked: Reply = {
  formatEstablished: () => encodeSocks5Choice("none_acceptable"),
  formatRefusal: () => encodeSocks5Choice("none_acceptable"),
};

/** The reply to a client of which nothing was read, by what its listener serves: HTTP where that is possible. */
export function replyUnasked(protocols: ReadonlySet<ClientProtocol>): Reply {
  if (protocols.has("http")) return httpReply;
  return protocols.has("socks5") ? socks5ReplyUnasked : socks4Reply;
}

/** Writes the response to CONNECT: a status line and `Proxy-Agent`, without content (RFC 9110 §9.3.6). */
export function writeEstablished(agent: string, reported?: Reported): Uint8Array {
  const more = reported === undefined ? "" : writeReportedLine(agent, reported);
  return Buffer.from(`HTTP/1.1 200 Connection Established\r\nProxy-Agent: ${agent}\r\n${more}\r\n`, "latin1");
}

/** The line of a head that says why the request would have been refused. It is no error (RFC 9209 §2.1.1), so it is in `details`. */
export function writeReportedLine(agent: string, { detail, rule }: Reported): string {
  const details = `reported: ${detail}, rule ${rule}`;
  return `Proxy-Status: ${formatProxyStatus({ proxy: agent, details })}\r\n`;
}
