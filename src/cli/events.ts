import { isRecord } from "../config/plain-data.ts";
import { ServerSentEvents } from "../protocol/server-sent-events.ts";
import { describeRefusal, findExitCode, isFinalStatus } from "./ask-answer.ts";
import { addQuery, pause, requestSidecar } from "./ask-sidecar.ts";
import { createCommand } from "./command.ts";
import { findSidecar, type SidecarAccess, sidecarArgs } from "./find-sidecar.ts";
import { formatEventLine } from "./event-line.ts";
import { type CliIo, endWith, exitCodes } from "./io.ts";

/** Flags that are parameters of the query, under the same names. */
const PARAMETERS = ["type", "user", "target", "word"] as const;

/** Milliseconds before the sidecar is asked again, when the connection to it broke. */
const RETRY_MS = 1000;

/** `penstock events`: follows what happens in a running proxy. */
export const events = createCommand({
  name: "events",
  description:
    "Follow what happens in a running proxy, until SIGINT: tunnels, requests, refusals, upstreams, reloads. After a break it goes on where it was. It needs the sidecar, and its token.",
  examples: [["penstock events --type refused --json", "Follow what is refused, as lines of JSON."]],
  args: {
    type: {
      type: "string",
      valueHint: "TYPE,…",
      description:
        "Only these: refused, tunnel_opened, tunnel_ended, request_done, upstream, reload, drain and others.",
    },
    user: { type: "string", valueHint: "USER", description: "Only events of this user." },
    target: {
      type: "string",
      valueHint: "HOST",
      description:
        "Only events about this target: example.org, example.org:443, or *.example.org for all names below it.",
    },
    word: { type: "string", valueHint: "WORD", description: "Only failures with this word, such as denied_by_rule." },
    json: { type: "boolean", description: "Print each event as a line of JSON, as the sidecar has it." },
    ...sidecarArgs,
  },
  follows: true,
  async run({ io, value, has }) {
    const access = await findSidecar({ value, io }, "/events");
    if (typeof access === "string") return endWith(io, access, exitCodes.usage);
    addQuery(access.url, value, PARAMETERS);
    const leaving = new AbortController();
    const unsubscribe = io.onStopSignal(() => leaving.abort());
    const code = await follow(access, has("json"), leaving.signal, io);
    unsubscribe();
    return code;
  },
});

/** Follows events until it is told to leave. */
async function follow(access: SidecarAccess, asJson: boolean, leaving: AbortSignal, io: CliIo): Promise<number> {
  let last: string | undefined;
  let isWatching = false;
  for (;;) {
    const headers = last === undefined ? {} : { "Last-Event-ID": last };
    const answer = await requestSidecar(access, access.url, { headers, signal: leaving });
    if (leaving.aborted) return exitCodes.ok;
    if (typeof answer !== "string" && answer.status === 200 && answer.body !== null) {
      io.tell(isWatching ? "Watching again." : "Watching until SIGINT.");
      isWatching = true;
      const printed = await printEvents(answer.body, { asJson, io, last });
      if (leaving.aborted || !printed.isRead) return exitCodes.ok;
      last = printed.last;
      io.tell("The connection to the sidecar is over. Trying again until SIGINT.");
    } else if (!isWatching || (typeof answer !== "string" && isFinalStatus(answer.status)))
      return typeof answer === "string"
        ? endWith(io, answer, exitCodes.failure)
        : endWith(io, await describeRefusal(answer), findExitCode(answer.status));
    await pause(RETRY_MS, leaving);
    if (leaving.aborted) return exitCodes.ok;
  }
}

interface Printing {
  readonly asJson: boolean;
  readonly io: CliIo;
  /** The id of the last event that was printed. */
  readonly last: string | undefined;
}

/** Prints events until the stream is over, or nobody reads them. Gives the id of the last one. */
async function printEvents(
  body: ReadableStream<Uint8Array>,
  { asJson, io, last }: Printing,
): Promise<{ readonly last: string | undefined; readonly isRead: boolean }> {
  const reader = new ServerSentEvents();
  let newest = last;
  let isRead = true;
  try {
    for await (const bytes of body) {
      const found = reader.read(bytes);
      if (found.length === 0) continue;
      isRead = await io.print(found.map(({ data }) => `${asJson ? data : formatData(data)}\n`).join(""));
      newest = found.at(-1)?.id ?? newest;
      if (!isRead) break;
    }
  } catch {
    // The connection broke; the id says where to go on.
  }
  return { last: newest === "" ? last : newest, isRead };
}

function formatData(data: string): string {
  try {
    const event: unknown = JSON.parse(data);
    return isRecord(event) ? formatEventLine(event) : "An event that is not understood.";
  } catch {
    return "An event that is not understood.";
  }
}
