/** An event of a stream of Server-Sent Events (HTML Living Standard §9.2). */
export interface ServerSentEvent {
  /** `message` when the stream names none. */
  readonly type: string;
  readonly data: string;
  /** The last id that the stream gave, with this event or before it. */
  readonly id: string;
}

/** Characters of a line at most, unless told otherwise. A longer one is no event of a server that means well. */
const MAX_LINE = 1024 * 1024;

/** Reads a stream of Server-Sent Events in any portions. What the stream says about reconnecting is passed over. */
export class ServerSentEvents {
  readonly #decoder = new TextDecoder();
  readonly #maxLine: number;
  #rest = "";
  #type = "";
  #data: string[] = [];
  #id = "";

  constructor(maxLine = MAX_LINE) {
    this.#maxLine = maxLine;
  }

  /** The events that these bytes complete. Throws when a line is too long. */
  read(bytes: Uint8Array): ServerSentEvent[] {
    const more = this.#decoder.decode(bytes, { stream: true });
    const text = this.#rest + more;
    // A long line in many portions is looked through once, when its end is there.
    if (!/[\r\n]/.test(more) && !this.#rest.endsWith("\r")) return this.#keep(text);
    // CR at the end may be half of a line end.
    const held = text.endsWith("\r") ? 1 : 0;
    const lines = text.slice(0, text.length - held).split(/\r\n|\n|\r/);
    this.#keep((lines.pop() ?? "") + text.slice(text.length - held));
    return lines.flatMap((line) => this.#take(line) ?? []);
  }

  #keep(rest: string): [] {
    if (rest.length > this.#maxLine) throw new RangeError("A line of the stream of events is too long.");
    this.#rest = rest;
    return [];
  }

  #take(line: string): ServerSentEvent | undefined {
    if (line === "") return this.#dispatch();
    const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name === "event") this.#type = value;
    else if (name === "data") this.#data.push(value);
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    return undefined;
  }

  #dispatch(): ServerSentEvent | undefined {
    const [type, data] = [this.#type, this.#data];
    this.#type = "";
    this.#data = [];
    if (data.length === 0) return undefined;
    return { type: type === "" ? "message" : type, data: data.join("\n"), id: this.#id };
  }
}
