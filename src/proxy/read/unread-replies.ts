import type { Conn } from "../../net/conn/conn.ts";
import type { Descriptors } from "../../net/conn/descriptors.ts";
import { readMessage } from "../../net/conn/read-message.ts";
import type { ClientProtocol } from "../record/request-record.ts";
import { CountTable } from "../limit/count-table.ts";
import { recogniseProtocol } from "./first-message.ts";
import { type Reply, replyUnasked } from "./reply.ts";

/** Milliseconds in which a client that is not accepted may show which protocol it speaks. */
const HEAR_MS = 1000;
/** Connections that are heard at once: in all, and of one client. Others are answered in HTTP: a flood must not hold connections open. */
const MAX_HEARD = 64;
const MAX_OF_ONE_CLIENT = 16;

/** Finds the replies to clients that are refused before anything of them was read. */
export class UnreadReplies {
  #heard = 0;
  readonly #perClient = new CountTable();
  readonly #slots: { readonly connections: number };
  readonly #descriptors: Descriptors;

  /** `slots` counts all connections that hold a slot. */
  constructor(slots: { readonly connections: number }, descriptors: Descriptors) {
    this.#slots = slots;
    this.#descriptors = descriptors;
  }

  /** The reply in the protocol that the client's first byte shows. It stays unread. `key` is that of `clientKey`. */
  async find(client: Conn, key: string, protocols: ReadonlySet<ClientProtocol>): Promise<Reply> {
    const isPlain = protocols.size === 1 || !protocols.has("http");
    if (isPlain || client.closed || !this.#hasRoom(key)) return replyUnasked(protocols);
    this.#heard += 1;
    this.#perClient.add(key);
    const read = await readMessage(client, readProtocol, { deadlineMs: HEAR_MS, maxBytes: 1 });
    this.#heard -= 1;
    this.#perClient.giveBack(key);
    return replyUnasked(read.kind === "done" && protocols.has(read.value) ? new Set([read.value]) : protocols);
  }

  /** Descriptors for the targets of clients that are admitted come first. */
  #hasRoom(key: string): boolean {
    return (
      this.#heard < MAX_HEARD &&
      this.#perClient.hasRoom(key, MAX_OF_ONE_CLIENT) &&
      this.#descriptors.allowsConnections(this.#slots.connections + this.#heard + 1)
    );
  }
}

function readProtocol(bytes: Uint8Array) {
  return { kind: "done", value: recogniseProtocol(bytes[0]), used: 0 } as const;
}
