import { dirname, resolve } from "node:path";

import { findConfigFile } from "../config/find-config-file.ts";
import { listVariables } from "../config/gather-materials.ts";
import { applyOverrides } from "../config/overrides.ts";
import { readList, readRecord } from "../config/plain-data.ts";
import { readConfigFile } from "../config/read-config-file.ts";
import { readTextFile } from "../config/read-file.ts";
import { escapeText } from "../escape-text.ts";
import { endProcessAfter } from "../net/process-deadline.ts";
import { EVENT_TYPES } from "../proxy/record/events/event.ts";
import { listFailureDetails } from "../proxy/failure.ts";
import { callSidecar } from "./call-sidecar.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { type ValueKind, VALUE_KINDS } from "./completion-kinds.ts";
import { findSidecar, sidecarFlag } from "./find-sidecar.ts";
import { configArgs, describeSearch } from "./config-args.ts";
import { exitCodes } from "./io.ts";

/** Milliseconds for an answer: a person waits at the prompt. */
const ANSWER_MS = 700;
/** Milliseconds more until the process ends, when a configuration file never gives its turn back. */
const GRACE_MS = 200;
/** Nobody reads more, and a shell is slow to sort them. */
const MAX_VALUES = 2000;
const MAX_LENGTH = 200;

/**
 * `penstock __complete KIND`: the values of a kind, for completions. Each is a line
 * that begins with "=", so that what a configuration file prints is none, and
 * has a tab before what it is. It says nothing of what goes wrong.
 */
export const completeValues = createCommand({
  name: "__complete",
  description: "Print what may stand in a place of the command line, for the completions of shells.",
  hidden: true,
  withoutJson: "it is for shells.",
  args: {
    kind: { type: "positional", description: VALUE_KINDS.join(", ") },
    config: configArgs.config,
    ...sidecarFlag,
    within: { type: "string", valueHint: "MS", description: "Milliseconds for an answer. Default: 700." },
  },
  async run(input) {
    const kind = VALUE_KINDS.find((each) => each === input.value("kind"));
    if (kind === undefined) return exitCodes.usage;
    const within = Number(input.value("within") ?? ANSWER_MS);
    endProcessAfter(within + GRACE_MS);
    const found = new Map<string, string>();
    const silent = { ...input, io: { ...input.io, tell: () => undefined } };
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, within);
    const add: Add = (value, says = "") => {
      if (isShown(value) && !found.has(value)) found.set(value, says);
    };
    // One that fails must not take away what the other has found.
    await Promise.race([
      Promise.allSettled([readConfigured(kind, silent, add), askRunning(kind, silent, add)]),
      late.promise,
    ]);
    clearTimeout(timer);
    const lines = [...found]
      .slice(0, MAX_VALUES)
      .map(([value, says]) => `=${value}${says === "" ? "" : `\t${says}`}\n`);
    await input.io.print(lines.join(""));
    return exitCodes.ok;
  },
});

type Add = (value: unknown, says?: string) => void;

/** Whether a shell can show it in a line, and a person type it. */
function isShown(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_LENGTH && escapeText(value) === value;
}

/** What the configuration names, which may be invalid in other parts. */
async function readConfigured(kind: ValueKind, input: CommandInput, add: Add): Promise<void> {
  const { io } = input;
  if (kind === "event") for (const type of EVENT_TYPES) add(type);
  if (kind === "word") for (const word of listFailureDetails()) add(word);
  if (kind !== "user" && kind !== "rule" && kind !== "route" && kind !== "upstream" && kind !== "listener") return;
  const located = await findConfigFile(describeSearch(input));
  const path = located.ok ? located.value.file : undefined;
  const read = path === undefined ? undefined : await readConfigFile(path);
  const written = read?.ok === true ? read.value.value : {};
  const config = readRecord(applyOverrides(written, io.variables, {}, io.folder, listVariables(written)).raw);
  switch (kind) {
    case "user":
      return addUsers(config["users"], path === undefined ? io.folder : dirname(path), add);
    case "rule":
      for (const [at, rule] of readList(config["rules"]).entries()) add(readRecord(rule)["name"] ?? `rule-${at + 1}`);
      return add("default");
    case "route":
      add("direct");
      return addUpstreams(config, add);
    case "upstream":
      return addUpstreams(config, add);
    case "listener":
      for (const entry of readList(config["listen"])) add(nameListener(entry));
      return undefined;
  }
}

async function addUsers(users: unknown, home: string, add: Add): Promise<void> {
  for (const user of readList(users)) add(readRecord(user)["name"]);
  const { file } = readRecord(users);
  const read = typeof file === "string" ? await readTextFile(resolve(home, file), "users") : undefined;
  if (read?.ok !== true) return;
  for (const line of read.text.split("\n"))
    if (!line.startsWith("#") && line.includes(":")) add(line.slice(0, line.indexOf(":")));
}

function addUpstreams({ upstream, upstreams }: Readonly<Record<string, unknown>>, add: Add): void {
  for (const name of Object.keys(readRecord(upstreams))) add(name);
  if (upstream !== undefined) add(upstream === "environment" ? "environment" : "upstream");
}

function nameListener(entry: unknown): unknown {
  const { host = "127.0.0.1", port } = readRecord(entry);
  return typeof entry === "string" ? entry : typeof port === "number" ? `${String(host)}:${port}` : undefined;
}

/** What a running proxy has just now. */
async function askRunning(kind: ValueKind, input: CommandInput, add: Add): Promise<void> {
  if (kind === "event" || kind === "word" || kind === "listener") return;
  const access = await findSidecar(input, "/");
  if (typeof access === "string") return;
  if (kind === "member" || kind === "upstream") {
    const called = await callSidecar(access, "GET /upstreams");
    if (!called.ok) return;
    for (const upstream of called.answer.upstreams) {
      if (kind === "upstream") add(upstream.name, upstream.kind);
      else if ("members" in upstream)
        for (const { name, health } of upstream.members) add(`${upstream.name}/${name}`, health);
    }
    return;
  }
  const called = await callSidecar(access, "GET /tunnels");
  if (!called.ok) return;
  for (const { id, user, target, client, rule, route } of called.answer.tunnels) {
    if (kind === "tunnel") add(id, escapeText(`${user ?? client} → ${target ?? "?"}`));
    else if (kind === "host") add(target);
    // Without its port: that is another one for each connection.
    else if (kind === "client") add(client.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"));
    else add({ user, rule, route }[kind]);
  }
}
