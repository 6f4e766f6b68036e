import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { isRecord } from "../config/plain-data.ts";
import { describeReadError } from "../config/read-file.ts";
import type { Observations } from "../learn/learn-rules.ts";
import { readEntry, type Skipped } from "../learn/read-entry.ts";
import { ServerSentEvents } from "../protocol/server-sent-events.ts";
import { describeRefusal, isFinalStatus } from "./ask-answer.ts";
import { pause, requestSidecar } from "./ask-sidecar.ts";
import type { SidecarAccess } from "./find-sidecar.ts";

/** Open tunnels that are kept apart: ends that were lost must not fill the memory. */
const MAX_OPEN = 100_000;

/** What was read, and what nothing was learned from. */
export class Lesson {
  readonly seen: Observations;
  readonly skipped: Record<Skipped, number> = { refused: 0, failed: 0, unusable_user: 0, unreadable: 0 };
  /** Lines that were read. */
  lines = 0;
  /** Events that the sidecar could not send. */
  lost = 0;
  /** Tunnels that are open. They are learned when they end, or when the time is over: their end may be a refusal. */
  readonly #open = new Map<unknown, unknown>();

  constructor(seen: Observations) {
    this.seen = seen;
  }

  get openTunnels(): number {
    return this.#open.size;
  }

  /** Takes a line of an access log in JSON. */
  takeLine(line: string): void {
    this.lines += 1;
    if (line.trim() === "") return;
    this.take(parse(line));
  }

  /** Takes an event of the sidecar. */
  takeEvent(data: string): void {
    const event = parse(data);
    if (!isRecord(event)) return;
    const { event: type, id, count } = event;
    if (type === "lost") this.lost += typeof count === "number" ? count : 1;
    else if (type === "tunnel_opened" && this.#open.size < MAX_OPEN) this.#open.set(id, event);
    else {
      this.#open.delete(id);
      this.take(event);
    }
  }

  /** Takes the tunnels that are still open. */
  finish(): void {
    for (const event of this.#open.values()) this.take(event);
    this.#open.clear();
  }

  take(entry: unknown): void {
    const read = readEntry(entry);
    if (typeof read === "string") this.skipped[read] += 1;
    else this.seen.add(read);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Reads an access log to its end; `-` is standard input. Gives what is wrong with it, if anything. */
export async function learnFromFile(path: string, lesson: Lesson): Promise<string | undefined> {
  try {
    const input = path === "-" ? process.stdin : createReadStream(path);
    // readline itself hides errors of its input.
    const failed = new Promise<never>((_, reject) => input.once("error", reject));
    const read = (async () => {
      for await (const line of createInterface({ input, crlfDelay: Infinity })) lesson.takeLine(line);
    })();
    await Promise.race([read, failed]);
    return undefined;
  } catch (error) {
    return `Cannot read ${path}: ${describeReadError(error)}.`;
  }
}

/** Milliseconds before the sidecar is asked again, when the connection to it broke. */
const RETRY_MS = 1000;

/** Follows the events of a running proxy until the signal. Gives why it cannot, if it cannot. */
export async function learnFromEvents(
  access: SidecarAccess,
  lesson: Lesson,
  leaving: AbortSignal,
  tell: (line: string) => void,
): Promise<string | undefined> {
  access.url.searchParams.set("type", "tunnel_opened,tunnel_ended,request_done");
  let last: string | undefined;
  for (let isFirst = true; ; isFirst = false) {
    const headers = last === undefined ? {} : { "Last-Event-ID": last };
    const answer = await requestSidecar(access, access.url, { headers, signal: leaving });
    if (leaving.aborted) return undefined;
    const isOpen = typeof answer !== "string" && answer.status === 200 && answer.body !== null;
    if (typeof answer === "string" && isFirst) return answer;
    if (typeof answer !== "string" && !isOpen && (isFirst || isFinalStatus(answer.status)))
      return describeRefusal(answer);
    if (isOpen && isFirst) tell("Watching.");
    if (isOpen) last = (await readEvents(answer.body, lesson)) ?? last;
    if (leaving.aborted) return undefined;
    tell("The connection to the sidecar broke. Trying again.");
    await pause(RETRY_MS, leaving);
    if (leaving.aborted) return undefined;
  }
}

async function readEvents(body: ReadableStream<Uint8Array>, lesson: Lesson): Promise<string | undefined> {
  const reader = new ServerSentEvents();
  let last: string | undefined;
  try {
    for await (const bytes of body)
      for (const { data, id } of reader.read(bytes)) {
        lesson.takeEvent(data);
        if (id !== "") last = id;
      }
  } catch {
    // The connection broke, or the time is over; the id says where to go on.
  }
  return last;
}
