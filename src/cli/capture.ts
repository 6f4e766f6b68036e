import { resolve } from "node:path";
import { nameError } from "../error-code.ts";
import { BlockSplitter } from "../protocol/pcapng/block-splitter.ts";
import { describeRefusal, findExitCode } from "./ask-answer.ts";
import { addQuery, askSidecar } from "./ask-sidecar.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { findSidecar, type SidecarAccess, sidecarArgs } from "./find-sidecar.ts";
import { type CliIo, endWith, exitCodes } from "./io.ts";
import { openOutput } from "./open-output.ts";

/** Flags that are parameters of the query, under the same names. */
const PARAMETERS = ["host", "user", "id", "legs", "snaplen"] as const;

/** `penstock capture`: writes what passes through tunnels of a running proxy to a file. */
export const capture = createCommand({
  name: "capture",
  description:
    "Write what passes through tunnels of a running proxy to a file for Wireshark, until SIGINT. It needs the sidecar, and its token.",
  examples: [["penstock capture -o - | wireshark -k -i -", "Watch tunnels in Wireshark."]],
  withoutJson: "it is pcapng.",
  args: {
    host: {
      type: "string",
      valueHint: "HOST",
      description: "Only tunnels to this host: example.org, example.org:443, or *.example.org for all names below it.",
    },
    user: { type: "string", valueHint: "USER", description: "Only tunnels of this user." },
    id: { type: "string", valueHint: "ID", description: "Only the tunnel of this id, as the access log has it." },
    legs: {
      type: "string",
      valueHint: "client|target|both",
      description: "Between clients and the proxy, between the proxy and targets, or both. Default: client.",
    },
    snaplen: { type: "string", valueHint: "BYTES", description: "Bytes to keep of each packet. Default: all." },
    ...sidecarArgs,
    output: { type: "string", alias: "o", valueHint: "FILE", description: 'File to write; "-" is standard output.' },
    force: { type: "boolean", description: "Replace the file when it is there already." },
  },
  async run(input) {
    const { io } = input;
    const wanted = await readArguments(input);
    if (typeof wanted === "string") return endWith(io, wanted, exitCodes.usage);
    return runCapture(wanted, io);
  },
});

interface WantedCapture extends SidecarAccess {
  /** A path, or undefined for standard output. */
  readonly output: string | undefined;
  /** Whether a file that is there already may be replaced. */
  readonly force: boolean;
}

/** The capture that the flags ask for, or what is wrong with them. */
async function readArguments({ value, has, io }: CommandInput): Promise<WantedCapture | string> {
  const output = value("output");
  if (output === undefined)
    return 'Missing --output. Write -o FILE, or -o - as in "penstock capture -o - | wireshark -k -i -".';
  if (output === "-" && io.terminal) return "A capture is nothing for a terminal. Write it to a file, or into a pipe.";
  const access = await findSidecar({ value, io }, "/capture", ["capture"]);
  if (typeof access === "string") return access;
  const { url } = access;
  addQuery(url, value, PARAMETERS);
  return { ...access, output: output === "-" ? undefined : resolve(io.folder, output), force: has("force") };
}

async function runCapture(wanted: WantedCapture, io: CliIo): Promise<number> {
  const leaving = new AbortController();
  const asked = await askSidecar(wanted, wanted.url, "GET", leaving.signal);
  if (typeof asked === "string") return endWith(io, asked, exitCodes.failure);
  const id = asked.headers.get("Capture-Id");
  if (asked.status !== 200 || asked.body === null || id === null)
    return endWith(io, await describeRefusal(asked), findExitCode(asked.status));
  const sink = await openSink(wanted.output, wanted.force, io);
  if (typeof sink === "string") {
    leaving.abort();
    return endWith(io, sink, exitCodes.failure);
  }
  const unsubscribe = endAtSignal(wanted, id, leaving, io);
  io.tell("Capturing until SIGINT.");
  const ended = await copyBlocks(asked.body, sink, leaving);
  unsubscribe();
  await sink.close();
  const { packets, dropped, problem } = ended;
  io.tell(`${packets} packets${dropped > 0 ? `, and ${dropped} dropped because this reader was too slow` : ""}.`);
  if (problem === undefined) return exitCodes.ok;
  return endWith(io, problem, exitCodes.failure);
}

/** The first signal ends the capture in order, the second one drops the connection. */
function endAtSignal(wanted: WantedCapture, id: string, leaving: AbortController, io: CliIo): () => void {
  let signals = 0;
  return io.onStopSignal(() => {
    signals += 1;
    if (signals > 1) {
      leaving.abort();
      return;
    }
    void askSidecar(wanted, new URL(`/capture/${id}`, wanted.url), "DELETE", leaving.signal).then((answer) => {
      if (typeof answer === "string" || answer.status !== 204) leaving.abort();
    });
  });
}

interface CopyEnd {
  readonly packets: number;
  readonly dropped: number;
  /** Why the capture is incomplete. */
  readonly problem: string | undefined;
}

/** Copies whole blocks, so that an interrupted capture is still a valid file. */
async function copyBlocks(body: ReadableStream<Uint8Array>, sink: Sink, leaving: AbortController): Promise<CopyEnd> {
  const splitter = new BlockSplitter();
  let problem: string | undefined;
  try {
    for await (const bytes of body) {
      const blocks = splitter.push(bytes);
      if (blocks === undefined) {
        problem = "The sidecar sent what is no capture.";
        break;
      }
      problem = blocks.length === 0 ? undefined : await sink.write(blocks);
      if (problem !== undefined) break;
    }
  } catch {
    if (!leaving.signal.aborted) problem = "The sidecar ended in the middle of the capture.";
  }
  leaving.abort();
  return { ...splitter.counts, problem: problem === GONE ? undefined : problem };
}

/** The result of a sink whose reader has closed the pipe, which is no failure. */
const GONE = "gone";

interface Sink {
  /** Resolves once written; a text says why it could not be. */
  write(bytes: Uint8Array): Promise<string | undefined>;
  close(): Promise<void>;
}

async function openSink(path: string | undefined, force: boolean, io: CliIo): Promise<Sink | string> {
  if (path === undefined)
    return {
      write: async (bytes) => ((await io.print(bytes)) ? undefined : GONE),
      close: () => Promise.resolve(),
    };
  const file = await openOutput(path, force);
  if (typeof file === "string") return file;
  return {
    write: (bytes) =>
      file.appendFile(bytes).then(
        () => undefined,
        (error: unknown) => `Cannot write ${path}: ${nameError(error)}.`,
      ),
    close: () => file.close(),
  };
}
