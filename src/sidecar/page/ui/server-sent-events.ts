/** One event of a stream. */
export interface ServerSentEvent {
  readonly type: string;
  readonly data: string;
}

/** Characters of one event. A stream that sends more than that without an end is not ours. */
const MAX_EVENT = 64 * 1024 * 1024;

/** Takes Server-Sent Events apart (https://html.spec.whatwg.org/multipage/server-sent-events.html). `EventSource` cannot send a token in a header. */
export class EventReader {
  #rest = "";
  #type = "";
  #data: string[] = [];

  /** The events that are complete with this text. */
  read(text: string): ServerSentEvent[] {
    // A state is one line of megabytes in many chunks: joined once, when its end is there.
    this.#rest += text;
    if (this.#rest.length > MAX_EVENT) throw new Error("An event of the stream has no end.");
    if (!text.includes("\n")) return [];
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    const events: ServerSentEvent[] = [];
    for (const line of lines) {
      const event = this.#readLine(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  #readLine(line: string): ServerSentEvent | undefined {
    if (line === "") {
      const event = { type: this.#type === "" ? "message" : this.#type, data: this.#data.join("\n") };
      const isEmpty = this.#data.length === 0;
      this.#type = "";
      this.#data = [];
      return isEmpty ? undefined : event;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return undefined;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "event") this.#type = value;
    if (name === "data") this.#data.push(value);
    return undefined;
  }
}
