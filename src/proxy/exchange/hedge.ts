import type { Conn } from "../../net/conn/conn.ts";
import { readMessage } from "../../net/conn/read-message.ts";
import { createResponseHeadParser } from "../../protocol/http1/response-head.ts";
import type { Carriage } from "../dial/carriage.ts";
import type { RequestMembers } from "../dial/request-members.ts";
import type { HeadToWrite } from "./head-to-write.ts";
import type { Origin } from "./origin-pool.ts";

/** What may be done with a request while its member may only be slow, and once that is known to be gone. */
export type Repeats = "beside" | "instead" | "never";

/** A connection through other members. */
export interface Beside<Path> {
  readonly origin: Origin;
  readonly carriage: Carriage;
  readonly path: Path;
}

/** The head of a request that was sent, and its bytes. */
export interface Sent {
  readonly head: HeadToWrite;
  readonly bytes: number;
}

/** The response to it that has begun. */
export interface Answer<Path> extends Beside<Path> {
  readonly sent: Sent;
}

/** What a request needs to be sent to other members, too. */
export interface Hedged<Path> {
  readonly members: RequestMembers;
  /** Milliseconds for a response to begin; 0 for ever. */
  readonly responseMs: number;
  readonly repeats: Repeats;
  /** Connects through these members, or others; undefined when that fails. */
  open(carriage: Carriage): Promise<Beside<Path> | undefined>;
  /** Sends the request; undefined when it could not be sent at once. */
  send(origin: Origin, path: Path): Sent | undefined;
  /** Has the response come from there after a delay; false when it is too late for that. */
  adopt(answer: Answer<Path>, delayMs: number): boolean;
}

/** A request that was sent to other members, too. */
interface Run<Path> {
  carriage: Carriage;
  origin: Origin | undefined;
  answer: Answer<Path> | undefined;
}

/** As for any response. */
const HEAD_LIMITS = { maxBytes: 64 * 1024, maxFields: 256 };

/** In place of no limit. */
const FOR_EVER_MS = 2 ** 31;

/**
 * Sends a request to other members of a pool, too, while one keeps silent at it. The
 * first response wins. The member that kept silent may have a slow target: it is
 * asked about something else, and only when it keeps silent at that as well it is
 * gone for the request.
 */
export class Hedge<Path> {
  readonly #hedged: Hedged<Path>;
  readonly #runs = new Set<Run<Path>>();
  readonly #delayMs: number;
  /** Milliseconds of silence at which the next one is asked. */
  #nextAt: number;
  /** Milliseconds of silence at which it is asked about something else. */
  #doubtAt: number;
  #isStarting = false;
  #isGone = false;
  #over = false;

  constructor(hedged: Hedged<Path>) {
    this.#hedged = hedged;
    this.#delayMs = hedged.members.findDelay(hedged.responseMs);
    this.#nextAt = this.#delayMs;
    this.#doubtAt = this.#delayMs;
  }

  /** The member has been silent for so long. */
  silent(ms: number): void {
    if (ms < this.#delayMs || this.#over) return;
    const { members, repeats } = this.#hedged;
    if (ms >= this.#doubtAt) {
      this.#doubtAt = 2 * ms;
      members.doubt(this.#delayMs, () => this.#leave());
    }
    if (ms >= this.#nextAt && (repeats === "beside" || (repeats === "instead" && this.#isGone))) void this.#start(ms);
  }

  /** The request has ended. */
  end(): void {
    this.#over = true;
    for (const run of this.#runs) this.#drop(run);
  }

  /** The member is gone: whatever answers is better. */
  #leave(): void {
    if (this.#over) return;
    this.#isGone = true;
    this.#nextAt = 0;
    for (const run of this.#runs) {
      if (run.answer !== undefined) {
        this.#adopt(run);
        return;
      }
    }
  }

  async #start(ms: number): Promise<void> {
    if (this.#isStarting) return;
    this.#isStarting = true;
    const { members } = this.#hedged;
    const carriage = await members.nextBeside(this.#isGone);
    this.#isStarting = false;
    if (carriage === "later") return;
    this.#nextAt = carriage === undefined && !this.#isGone ? Infinity : ms + this.#delayMs;
    if (carriage !== undefined) await this.#run({ carriage, origin: undefined, answer: undefined });
  }

  async #run(run: Run<Path>): Promise<void> {
    this.#runs.add(run);
    const { responseMs } = this.#hedged;
    const opened = this.#over ? undefined : await this.#hedged.open(run.carriage);
    if (opened === undefined) {
      this.#drop(run);
      return;
    }
    const { origin } = opened;
    run.carriage = opened.carriage;
    run.origin = origin;
    const sent = this.#over ? undefined : this.#hedged.send(origin, opened.path);
    const status =
      sent === undefined ? undefined : await peekStatus(origin.conn, responseMs === 0 ? FOR_EVER_MS : responseMs);
    if (sent === undefined || status === undefined || this.#over) {
      this.#drop(run);
      return;
    }
    run.answer = { ...opened, sent };
    // As long as the other member may only be slow, its answer is worth more than none.
    if (this.#isGone || !isRefusal(status)) this.#adopt(run);
  }

  #adopt(run: Run<Path>): void {
    this.#runs.delete(run);
    if (run.answer !== undefined && this.#hedged.adopt(run.answer, this.#delayMs)) this.end();
    else this.#drop(run);
  }

  #drop(run: Run<Path>): void {
    this.#runs.delete(run);
    run.origin?.conn.reset();
    run.carriage.release();
    this.#hedged.members.giveBack(run.carriage);
  }
}

/** Whether a status says that the member, or what is behind it, could not do it. */
function isRefusal(status: number): boolean {
  return status === 407 || (status >= 502 && status <= 504);
}

/** Waits for the head of a final response, and leaves it unread. Gives its status, or undefined when there is none. */
async function peekStatus(conn: Conn, deadlineMs: number): Promise<number | undefined> {
  const parser = createResponseHeadParser(HEAD_LIMITS);
  let at = 0;
  const read = await readMessage(
    conn,
    (bytes) => {
      for (;;) {
        const parsed = parser.parse(bytes.subarray(at));
        if (parsed.kind !== "done") return parsed;
        const { status } = parsed.value;
        if (status >= 200 || status === 101) return { kind: "done", value: status, used: 0 };
        at += parsed.used;
        parser.reset();
      }
    },
    { deadlineMs, maxBytes: HEAD_LIMITS.maxBytes + 1 },
  );
  return read.kind === "done" ? read.value : undefined;
}
