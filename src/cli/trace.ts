import type { FileHandle } from "node:fs/promises";
import { resolve } from "node:path";
import { compileHop } from "../config/compile-upstream.ts";
import { readCertificate } from "../config/pem.ts";
import { parseDuration } from "../config/quantity.ts";
import { type FileText, readTextFile } from "../config/read-file.ts";
import { quoteValue } from "../config/problem.ts";
import { parseUpstreamUrl } from "../config/upstream-url.ts";
import { connectTcp } from "../net/runtime/connect.ts";
import { createSystemResolver } from "../net/dns/system-resolver.ts";
import { listBundledRoots } from "../net/runtime/tls-probe.ts";
import { Secret } from "../secret.ts";
import type { Hop } from "../proxy/route/hop.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { type CliIo, endWith, exitCodes } from "./io.ts";
import { describeWriteError, openOutput } from "./open-output.ts";
import { showProgress } from "./progress.ts";
import { createPaint, wantsColour } from "./style.ts";
import type { TrustBasis } from "./trace/explain-trust.ts";
import { listSteps } from "./trace/list-steps.ts";
import { runTrace } from "./trace/run-trace.ts";
import type { TraceRecord } from "./trace/trace-record.ts";
import { formatTraceTarget, parseTraceTarget, type TraceRequest } from "./trace/trace-request.ts";
import { writeTraceJson } from "./trace/write-json.ts";
import { writeTraceMermaid } from "./trace/write-mermaid.ts";
import { writeTracePcapng } from "./trace/write-pcapng.ts";
import { writeTraceText } from "./trace/write-text.ts";

const FORMATS = ["text", "mermaid", "json", "pcapng"] as const;
type Format = (typeof FORMATS)[number];

const DEFAULT_TIMEOUT = "30s";

/** `penstock trace URL`: makes a connection and shows everything that passes. */
export const trace = createCommand({
  name: "trace",
  description:
    "Connect to a server, directly or through a proxy, and show every message: DNS, TCP, CONNECT or SOCKS, TLS with its certificates, the request and its response.",
  examples: [
    [
      "penstock trace https://example.org/ --proxy http://127.0.0.1:8080",
      "See a request through the proxy, message by message.",
    ],
  ],
  args: {
    url: { type: "positional", description: "What to ask for, as https://host[:port][/path]." },
    proxy: {
      type: "string",
      valueHint: "URL",
      description:
        "Go through this proxy: http, https, socks5, socks5h or socks4a, as scheme://[user[:password]@]host[:port]. The process list shows a password: without one it is asked for, or read from standard input.",
    },
    tls: { type: "string", valueHint: "1.2|1.3", description: "The only version of TLS to offer. Default: both." },
    ca: {
      type: "string",
      valueHint: "FILE",
      description: "PEM file with the only roots to trust. Default: those that come with the program.",
    },
    insecure: { type: "boolean", description: "Go on when a certificate cannot be trusted." },
    timeout: {
      type: "string",
      valueHint: "TIME",
      description: `How long all of it may take. Default: ${DEFAULT_TIMEOUT}.`,
    },
    format: { type: "string", valueHint: FORMATS.join("|"), description: "Form of the trace. Default: text." },
    json: { type: "boolean", description: "The same as --format json." },
    output: {
      type: "string",
      alias: "o",
      valueHint: "FILE",
      description: "Write to this file. Default: standard output.",
    },
    force: { type: "boolean", description: "Replace the file when it is there already." },
  },
  async run(input) {
    const { io, value, has } = input;
    const read = await readArguments(input);
    if (typeof read === "string") return endWith(io, read, exitCodes.usage);
    const { request, format, output, basis } = read;
    // Before anything is asked for: what cannot be kept need not be fetched.
    const file = output === undefined ? undefined : await openOutput(output, has("force"));
    if (typeof file === "string") return endWith(io, file, exitCodes.failure);
    const record = await showProgress(
      io,
      () => `Tracing ${formatTraceTarget(request.target)}`,
      () => runTrace(request, { resolver: createSystemResolver(), connect: connectTcp }),
    );
    const written = await write(record, { format, file, basis: { ...basis, now: record.startedAt } }, io);
    if (!written) return exitCodes.failure;
    const secrets = format === "pcapng" ? nameSecrets(request, record) : undefined;
    if (secrets !== undefined)
      io.tell(`${value("output") ?? "The capture"} holds ${secrets}: whoever has it can read everything.`);
    if (record.failure === undefined) return exitCodes.ok;
    // The text form ends with it; the others may be read by a program.
    if (format !== "text" || output !== undefined)
      io.tell(`The trace failed (${record.failure.stage}): ${record.failure.text}.`);
    return exitCodes.failure;
  },
});

/** What a capture shows that the other forms leave out; undefined for nothing. */
function nameSecrets(request: TraceRequest, record: TraceRecord): string | undefined {
  const secrets = [
    ...((record.tls ?? record.proxyTls) === undefined ? [] : ["the keys of this connection"]),
    ...(request.proxy?.credentials === undefined ? [] : ["the credentials for the proxy"]),
  ];
  return secrets.length === 0 ? undefined : secrets.join(" and ");
}

interface Arguments {
  readonly request: TraceRequest;
  readonly format: Format;
  /** A path; undefined for standard output. */
  readonly output: string | undefined;
  readonly basis: Omit<TrustBasis, "now">;
}

/** What the flags say, or what is wrong with them. */
async function readArguments({ value, has, io }: CommandInput): Promise<Arguments | string> {
  const target = parseTraceTarget(value("url") ?? "");
  if (typeof target === "string") return target;
  const proxyUrl = value("proxy");
  const proxy = proxyUrl === undefined ? undefined : await readProxy(proxyUrl, io);
  if (typeof proxy === "string") return proxy;
  const tls = value("tls");
  if (tls !== undefined && tls !== "1.2" && tls !== "1.3") return `--tls is ${quoteValue(tls)}. Write 1.2 or 1.3.`;
  const wanted = value("format") ?? (has("json") ? "json" : "text");
  if (has("json") && wanted !== "json") return "Found --json and another --format. Leave one of them out.";
  const format = FORMATS.find((known) => known === wanted);
  if (format === undefined) return `--format is ${quoteValue(value("format"))}. Write one of ${FORMATS.join(", ")}.`;
  const timeout = parseDuration(value("timeout") ?? DEFAULT_TIMEOUT);
  if (!timeout.ok || timeout.value === 0)
    return `--timeout is ${quoteValue(value("timeout"))}. Write a time such as 10s.`;
  const ca = value("ca");
  const roots = ca === undefined ? undefined : await readRoots(resolve(io.folder, ca));
  if (roots?.ok === false) return `Cannot use --ca ${quoteValue(ca ?? "")}: ${roots.reason}.`;
  const output = value("output");
  if (format === "pcapng" && output === undefined && io.terminal)
    return "A capture is nothing for a terminal. Write it to a file with -o FILE.";
  return {
    request: {
      target,
      ...(proxy && { proxy }),
      ...(tls !== undefined && { version: tls }),
      ...(roots !== undefined && { ca: [roots.text] }),
      insecure: has("insecure"),
      timeoutMs: timeout.value,
    },
    format,
    output: output === "-" || output === undefined ? undefined : resolve(io.folder, output),
    basis:
      roots === undefined
        ? { roots: listBundledRoots(), source: "the roots that come with this program" }
        : { roots: [roots.text], source: JSON.stringify(ca) },
  };
}

/** The proxy of a URL, its password asked for where it has only a user. */
async function readProxy(url: string, io: CliIo): Promise<Hop | string> {
  const parsed = parseUpstreamUrl(url);
  // The URL may hold a password, so that the message must not repeat it.
  if (!parsed.ok) return `The URL of the proxy ${parsed.reason}.`;
  const proxy = compileHop("proxy", { url });
  const { kind, credentials } = proxy;
  // The user of SOCKS4 has none.
  if (credentials === undefined || credentials.password.reveal() !== "" || kind === "socks4a") return proxy;
  const user = typeof credentials.user === "string" ? credentials.user : credentials.user.source;
  const password = await io.readPassword(`Password of ${user} at the proxy: `);
  if (password === undefined) return "The proxy needs a password.";
  return { ...proxy, credentials: { user: credentials.user, password: new Secret(password) } };
}

async function readRoots(path: string): Promise<FileText> {
  const read = await readTextFile(path, "pem");
  if (!read.ok || readCertificate(read.text) !== undefined) return read;
  return { ok: false, reason: "it has no certificate in PEM form" };
}

/** Writes the trace to where it is wanted. False, and told, when that is not possible. */
async function write(
  record: TraceRecord,
  {
    format,
    file,
    basis,
  }: { readonly format: Format; readonly file: FileHandle | undefined; readonly basis: TrustBasis },
  io: CliIo,
): Promise<boolean> {
  const described = listSteps(record, basis);
  const paint = createPaint(file === undefined ? wantsColour(io) : "plain");
  const content =
    format === "pcapng"
      ? writeTracePcapng(record)
      : format === "json"
        ? writeTraceJson(record, described)
        : format === "mermaid"
          ? writeTraceMermaid(record, described)
          : writeTraceText(record, described, paint);
  try {
    if (file !== undefined) await file.writeFile(content);
    else await io.print(content);
    return true;
  } catch (error) {
    io.tell(`Cannot write ${file === undefined ? "to standard output" : "the file"}: ${describeWriteError(error)}.`);
    return false;
  } finally {
    await file?.close();
  }
}
