import { type CommandDef, renderUsage } from "citty";
import { version } from "../version.ts";
import { capture } from "./capture.ts";
import { cert } from "./cert.ts";
import { check } from "./check.ts";
import type { Command } from "./command.ts";
import { drain } from "./drain.ts";
import { events } from "./events.ts";
import { explain } from "./explain.ts";
import { learn } from "./learn.ts";
import { handover } from "./handover.ts";
import { healthcheck } from "./healthcheck.ts";
import { init } from "./init.ts";
import { type CliIo, exitCodes } from "./io.ts";
import { passwd } from "./passwd.ts";
import { reload } from "./reload.ts";
import { schema } from "./schema.ts";
import { serve } from "./serve.ts";
import { service } from "./service.ts";
import { status } from "./status.ts";
import { readInvocation } from "./strict.ts";
import { test } from "./test.ts";
import { top } from "./top.ts";
import { trace } from "./trace.ts";
import { tunnels } from "./tunnels.ts";
import { upstreams } from "./upstreams.ts";
import { usage } from "./usage.ts";
import { showVersion } from "./version.ts";

const commands: Readonly<Record<string, Command>> = {
  serve,
  check,
  init,
  explain,
  learn,
  test,
  passwd,
  cert,
  schema,
  trace,
  capture,
  drain,
  handover,
  healthcheck,
  reload,
  status,
  top,
  tunnels,
  upstreams,
  usage,
  events,
  service,
  version: showVersion,
};

const root: CommandDef = {
  meta: {
    name: "penstock",
    version,
    description: "A forward proxy: CONNECT tunnels, upstream chaining, strict by default. Without a command it serves.",
  },
  subCommands: Object.fromEntries(Object.entries(commands).map(([name, command]) => [name, describe(command)])),
};

function describe({ name, description, args }: Command): CommandDef {
  return { meta: { name, description }, args };
}

/** Runs the command line and gives the exit code. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const invocation = readInvocation(argv, commands);
  switch (invocation.kind) {
    case "help":
      await io.print(`${await describeUsage(invocation.command, io)}\n`);
      return exitCodes.ok;
    case "wrong":
      io.tell(invocation.message);
      io.tell(`Run "penstock ${invocation.command ? `${invocation.command.name} ` : ""}--help" to see what there is.`);
      return exitCodes.usage;
    case "run": {
      const { values } = invocation;
      return invocation.command.run({
        io,
        value: (name) => values.get(name)?.[0],
        has: (name) => values.has(name),
        values: (name) => values.get(name) ?? [],
      });
    }
  }
}

async function describeUsage(command: Command | undefined, io: CliIo): Promise<string> {
  const text = command ? await renderUsage(describe(command), root) : await renderUsage(root);
  // Its columns are padded to the last.
  return (io.terminal ? text : Bun.stripANSI(text)).replace(/ +$/gm, "");
}
