import { encodeSocks4Reply } from "../../protocol/socks/socks4-server.ts";
import type { Runtime } from "../runtime.ts";
import { type Refusal, writeRefusal } from "./refusal.ts";

/** Replies in the protocol of a client. */
export interface Reply {
  /** The reply before the bytes of the tunnel. */
  formatEstablished(runtime: Pick<Runtime, "established">): Uint8Array;
  formatRefusal(refusal: Refusal): Uint8Array;
}

/** Also for a client whose protocol is not known yet. */
export const httpReply: Reply = {
  formatEstablished: ({ established }) => established,
  formatRefusal: writeRefusal,
};

/** SOCKS4 has one code for every refusal. */
export const socks4Reply: Reply = {
  formatEstablished: () => encodeSocks4Reply("granted"),
  formatRefusal: () => encodeSocks4Reply("rejected"),
};

/** Writes the response to CONNECT: a status line and `Proxy-Agent`, without content (RFC 9110 §9.3.6). */
export function writeEstablished(agent: string): Uint8Array {
  return Buffer.from(`HTTP/1.1 200 Connection Established\r\nProxy-Agent: ${agent}\r\n\r\n`, "latin1");
}
