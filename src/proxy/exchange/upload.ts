import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import { HeldBytes } from "../../protocol/held-bytes.ts";
import type { BodyReader } from "../../protocol/http1/body-reader.ts";
import type { MessageFlow } from "./flow.ts";
import type { HeadToWrite } from "./head-to-write.ts";

/** Whom an upload tells what happens at the client's side. */
export interface UploadOwner {
  /** Bytes of the request came. */
  touch(): void;
  /** The request was read to its end. */
  uploaded(): void;
  /** The body is malformed, or ends before its end. */
  failRequest(note: string): void;
  /** The client sent FIN after a complete request: it may still want the answer. */
  clientEnded(): void;
  clientGone(): void;
  /** There is room for writing to the client again. */
  flushDown(): void;
}

const NOTHING = new Uint8Array(0);

/** Bytes of a body that are kept for a second try. */
export const MAX_KEPT = 64 * 1024;

/** The way of one request from the client to the origin: its head, then its body as it comes. What follows it is kept. */
export class Upload implements ConnSink {
  /** The whole request was read. */
  done = true;
  /** The client sent FIN. */
  ended = false;
  readonly #owner: UploadOwner;
  readonly #client: Conn;
  readonly #flow: MessageFlow;
  #body: BodyReader | undefined;
  /** Bytes of the body were read: the request cannot be told to somebody else any more. */
  #begun = false;
  /** The head, until it is written. */
  #head: HeadToWrite | undefined;
  /** What came after the request. */
  #next: Uint8Array | undefined;
  /** Everything that came, while it may have to be put back. */
  #kept: HeldBytes | undefined;

  constructor(owner: UploadOwner, client: Conn, flow: MessageFlow) {
    this.#owner = owner;
    this.#client = client;
    this.#flow = flow;
  }

  /** Prepares for another request; `body` reads what follows its head. */
  prepare(head: HeadToWrite, body: BodyReader | undefined): void {
    this.done = body === undefined;
    this.ended = false;
    this.#body = body;
    this.#begun = false;
    this.#head = head;
    this.#kept = undefined;
    this.#flow.holdsSource = false;
  }

  /** Sends the head, together with what is there of the body already. */
  begin(): void {
    if (this.done) this.#write(NOTHING);
    this.#client.attach(this);
    if (this.#head !== undefined) this.#write(NOTHING);
  }

  /** Keeps what comes from now on, as long as it is not much. Without a body nothing is lost that has to be kept. */
  keep(): void {
    if (this.#body !== undefined) this.#kept = new HeldBytes();
  }

  /** There is no second try any more. */
  forget(): void {
    this.#kept = undefined;
  }

  /** Makes what was read unread, so that it can be read again after the release; false when it is not all there. */
  putBack(): boolean {
    if (this.#kept === undefined) return !this.#begun;
    if (this.#kept.length > 0) this.#next = this.#kept.bytes;
    return true;
  }

  /** Leaves the client's connection detached, with everything after the request unread. */
  release(): void {
    this.#client.detach();
    if (this.#next !== undefined) this.#client.unread(this.#next);
    this.#next = undefined;
  }

  data(chunk: Uint8Array): void {
    if (this.#kept !== undefined) this.#keep(this.#kept, chunk);
    if (this.done || this.#body === undefined) {
      this.#hold(chunk);
      return;
    }
    this.#owner.touch();
    this.#begun = true;
    const step = this.#body.push(chunk, 0);
    if (step.kind === "bad") {
      this.#owner.failRequest(step.code);
      return;
    }
    this.#write(step.output, step.from, step.to);
    if (step.kind === "more") return;
    this.done = true;
    if (step.used < chunk.length) this.#hold(chunk.subarray(step.used));
    this.#owner.uploaded();
  }

  end(): void {
    this.ended = true;
    if (this.done) this.#owner.clientEnded();
    else this.#owner.failRequest("the request ended in the middle of its body");
  }

  drain(): void {
    this.#owner.flushDown();
  }

  close(): void {
    this.#owner.clientGone();
  }

  /** The next request waits until this one is answered; the client that sends it is not read meanwhile. */
  #hold(bytes: Uint8Array): void {
    this.#next = new Uint8Array(bytes);
    this.#flow.holdsSource = true;
    this.#client.pause();
  }

  #keep(kept: HeldBytes, chunk: Uint8Array): void {
    if (kept.length + chunk.length > MAX_KEPT) this.#kept = undefined;
    else kept.append(chunk);
  }

  #write(body: Uint8Array, from = 0, to = body.length): void {
    const head = this.#head;
    this.#head = undefined;
    if (head === undefined) this.#flow.writePart(body, from, to);
    else this.#flow.writeHead(head, body, from, to);
  }
}
