import type * as z from "zod";
import { liveState, liveTick } from "../../sidecar/live.ts";
import { ServerSentEvents } from "../../protocol/server-sent-events.ts";
import { describeRefusal, isFinalStatus } from "../ask-answer.ts";
import { pause, requestSidecar } from "../ask-sidecar.ts";
import type { SidecarAccess } from "../find-sidecar.ts";
import { Silence, WENT_SILENT } from "./silence.ts";

/** Who hears what `/live` tells. */
export interface LiveListener {
  readonly state: (state: z.infer<typeof liveState>) => void;
  readonly tick: (tick: z.infer<typeof liveTick>) => void;
  /** The connection is over; it is tried again. */
  readonly trouble: (why: string) => void;
}

/** Milliseconds before the sidecar is asked again. */
const RETRY_MS = 1000;

/** Follows `/live` until it is told to leave. Gives why it cannot go on, or nothing when it was told. */
export async function followLive(
  access: SidecarAccess,
  url: URL,
  listener: LiveListener,
  leaving: AbortSignal,
): Promise<string | undefined> {
  for (;;) {
    const { why, isFinal } = await followOnce(access, url, listener, leaving);
    if (leaving.aborted) return undefined;
    if (isFinal) return why;
    listener.trouble(`${why} Trying again.`);
    await pause(RETRY_MS, leaving);
    if (leaving.aborted) return undefined;
  }
}

/** Why a connection ended, and whether the next one would end like it. */
interface End {
  readonly why: string;
  readonly isFinal: boolean;
}

/** Follows one connection to its end. */
async function followOnce(access: SidecarAccess, url: URL, listener: LiveListener, leaving: AbortSignal): Promise<End> {
  using silence = new Silence(leaving);
  const end = await readAnswer(await requestSidecar(access, url, { signal: silence.signal }), listener, silence);
  return silence.isOver ? { why: WENT_SILENT, isFinal: false } : end;
}

async function readAnswer(answer: Response | string, listener: LiveListener, silence: Silence): Promise<End> {
  if (typeof answer === "string") return { why: answer, isFinal: false };
  if (answer.status === 200 && answer.body !== null) {
    const fault = await readEvents(answer.body, listener, silence);
    return { why: fault ?? "The connection to the sidecar is over.", isFinal: fault !== undefined };
  }
  return { why: await describeRefusal(answer), isFinal: isFinalStatus(answer.status) };
}

/** Reads events to the end of the stream. Gives what is wrong with one of them. */
async function readEvents(
  body: ReadableStream<Uint8Array>,
  listener: LiveListener,
  silence: Silence,
): Promise<string | undefined> {
  const events = new ServerSentEvents();
  const reader = body.getReader();
  for (;;) {
    silence.heard();
    // A connection that breaks, or that was given up, is over.
    const bytes = await reader.read().then(
      ({ value }) => value,
      () => undefined,
    );
    if (bytes === undefined) return undefined;
    for (const { type, data } of events.read(bytes)) {
      const fault = take(type, data, listener);
      if (fault !== undefined) return fault;
    }
  }
}

function take(type: string, data: string, listener: LiveListener): string | undefined {
  const value = parse(data);
  if (type === "state") {
    const state = liveState.safeParse(value);
    if (!state.success) return OTHER_FORM;
    listener.state(state.data);
  } else if (type === "tick") {
    const tick = liveTick.safeParse(value);
    if (!tick.success) return OTHER_FORM;
    listener.tick(tick.data);
  }
  return undefined;
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

const OTHER_FORM = "The sidecar tells /live in another form: it may be of another version.";
