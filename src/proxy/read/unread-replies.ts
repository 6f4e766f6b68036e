import type { Conn } from "../../net/conn/conn.ts";
import { readMessage } from "../../net/conn/read-message.ts";
import type { ClientProtocol } from "../record/request-record.ts";
import { recogniseProtocol } from "./first-message.ts";
import { type Reply, replyUnasked } from "./reply.ts";

/** Milliseconds in which a client that is not accepted may show which protocol it speaks. */
const HEAR_MS = 1000;
/** Clients that are heard at once. Others are answered in HTTP: a flood must not hold connections open. */
const MAX_HEARD = 64;

/** Finds the replies to clients that are refused before anything of them was read. */
export class UnreadReplies {
  #heard = 0;

  /** The reply in the protocol that the client's first byte shows. It stays unread. */
  async find(client: Conn, protocols: ReadonlySet<ClientProtocol>): Promise<Reply> {
    const isPlain = protocols.size === 1 || !protocols.has("http");
    if (isPlain || client.closed || this.#heard >= MAX_HEARD) return replyUnasked(protocols);
    this.#heard += 1;
    const read = await readMessage(client, readProtocol, { deadlineMs: HEAR_MS, maxBytes: 1 });
    this.#heard -= 1;
    return replyUnasked(read.kind === "done" && protocols.has(read.value) ? new Set([read.value]) : protocols);
  }
}

function readProtocol(bytes: Uint8Array) {
  return { kind: "done", value: recogniseProtocol(bytes[0]), used: 0 } as const;
}
