import { resolve } from "node:path";
import type * as z from "zod";

import { AddressSet } from "../address/address-set.ts";
import { MESSAGE_LEVELS, type MessageLevel } from "../operator-message.ts";
import type { TraceFilter } from "../proxy/record/request-tracer.ts";
import { cidr, fraction, list, readCidrs, settings, text, word } from "./fields.ts";
import type { Materials } from "./materials.ts";
import type { Problem } from "./problem.ts";

export const logSchema = settings({
  access: word(["json", "text", "squid", "combined", "off"])
    .describe(
      "Form of the line for each request: `json`, `text` for people, `squid` (the native format of Squid) or `combined` (that of Apache) for programs that analyse logs, or `off`. Default: `text` on a terminal, else `json`.",
    )
    .optional(),
  file: text("the path of a file")
    .describe(
      "File to whose end access lines are added, relative to the configuration file. SIGUSR1 opens it again, after another program has moved it away. Default: standard output.",
    )
    .optional(),
  sample: settings({
    ok: fraction()
      .describe("The part of requests without a failure that gets a line, from 0 to 1. Metrics count all of them.")
      .default(1),
  })
    .describe("Which lines are written. Requests that failed always have one.")
    .prefault({}),
  level: word(MESSAGE_LEVELS)
    .describe(
      "The least important messages on standard error. `debug` (`--verbose`) also traces the stages of requests: see `debug`.",
    )
    .default("info"),
  debug: settings({
    clients: list(cidr(), "a list of client addresses or ranges")
      .describe("Only requests of these clients. Default: all.")
      .optional(),
    user: text("the name of a user")
      .describe("Only requests of this user, or with this name in a login that failed. Default: all.")
      .optional(),
  })
    .describe(
      "Whose requests are traced under the level `debug`: one message for each stage, 1,000 in a second at most. Without a filter those of everybody.",
    )
    .prefault({}),
})
  .describe("The access log, and messages on standard error.")
  .prefault({});

/** What the access log looks like. */
export type AccessForm = "json" | "text" | "squid" | "combined" | "off";

/** Which access lines and messages are written, how, and where. */
export interface LogPlan {
  readonly access: AccessForm;
  /** The part of lines about requests without a failure that is written, from 0 to 1. */
  readonly sampleOk: number;
  /** Absolute; undefined for standard output. */
  readonly file: string | undefined;
  /** The least important messages that are told. */
  readonly level: MessageLevel;
  /** Whose requests are traced; undefined for nobody's. */
  readonly trace: TraceFilter | undefined;
}

/** A filter of traces that nobody writes. */
export function findLogWarnings({ level, debug }: z.output<typeof logSchema>): Problem[] {
  const isFiltered = debug.clients !== undefined || debug.user !== undefined;
  if (!isFiltered || level === "debug") return [];
  const message = `It says whose requests are traced, but "log.level" is ${JSON.stringify(level)}: none are. Set the level to "debug", or start with --verbose.`;
  return [{ path: ["log", "debug"], message }];
}

export function compileLog(log: z.output<typeof logSchema>, { folder, terminal }: Materials): LogPlan {
  const { clients, user } = log.debug;
  return {
    access: log.access ?? (terminal && log.file === undefined ? "text" : "json"),
    sampleOk: log.sample.ok,
    file: log.file === undefined ? undefined : resolve(folder, log.file),
    level: log.level,
    trace: log.level === "debug" ? { clients: clients && new AddressSet(readCidrs(clients)), user } : undefined,
  };
}
