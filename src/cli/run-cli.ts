import { approvals } from "./approvals.ts";
import { capture } from "./capture.ts";
import { cert } from "./cert.ts";
import { check } from "./check.ts";
import { type Command, type CommandGroup, messageArgs } from "./command.ts";
import { completeValues } from "./completion-values.ts";
import { createCompletions } from "./completions.ts";
import { drain } from "./drain.ts";
import { events } from "./events.ts";
import { explain } from "./explain.ts";
import { learn } from "./learn.ts";
import { handover } from "./handover.ts";
import { healthcheck } from "./healthcheck.ts";
import { HeldMessages } from "./held-messages.ts";
import { writeHelp } from "./help.ts";
import { init } from "./init.ts";
import { type CliIo, exitCodes } from "./io.ts";
import { createMan } from "./man.ts";
import { passwd } from "./passwd.ts";
import { reload } from "./reload.ts";
import { schema } from "./schema.ts";
import { serve } from "./serve.ts";
import { service } from "./service.ts";
import { status } from "./status.ts";
import { type Invocation, readInvocation } from "./strict.ts";
import { test } from "./test.ts";
import { top } from "./top.ts";
import { trace } from "./trace.ts";
import { trust } from "./trust.ts";
import { tunnels } from "./tunnels.ts";
import { types } from "./types.ts";
import { upgrade } from "./upgrade.ts";
import { upstreams } from "./upstreams.ts";
import { usage } from "./usage.ts";
import { showVersion } from "./version.ts";

/** Every command, in the order in which help lists them. */
const groups: readonly CommandGroup[] = [
  { title: "Run a proxy", commands: { serve, reload, drain, handover, upgrade, healthcheck, service } },
  { title: "Set it up", commands: { init, check, explain, learn, test, passwd, cert, trust, schema, types } },
  { title: "Watch it", commands: { status, top, tunnels, upstreams, usage, events, approvals, capture, trace } },
  {
    title: "About the program",
    commands: {
      completions: createCompletions(() => groups),
      man: createMan(() => groups),
      version: showVersion,
      __complete: completeValues,
    },
  },
];

const commands: Readonly<Record<string, Command>> = Object.assign({}, ...groups.map((group) => group.commands));

/** Runs the command line and gives the exit code. A result that could not be written is a failure. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const code = await runInvocation(argv, io);
  const fault = io.printFault?.();
  if (fault === undefined) return code;
  const messages = new HeldMessages(io, { json: argv.includes("--json"), quiet: false, follows: false });
  messages.io.tell(`Cannot write the result to standard output: ${fault}.`);
  return messages.end(code === exitCodes.ok ? exitCodes.failure : code);
}

async function runInvocation(argv: readonly string[], io: CliIo): Promise<number> {
  const invocation = readInvocation(argv, commands);
  switch (invocation.kind) {
    case "help":
      await io.print(writeHelp(invocation.command, groups, io));
      return exitCodes.ok;
    case "wrong": {
      const { command, message } = invocation;
      const messages = new HeldMessages(io, { json: argv.includes("--json"), quiet: false, follows: false });
      messages.io.tell(message);
      messages.io.tell(`Run "penstock ${command ? `${command.name} ` : ""}--help" to see what there is.`);
      return messages.end(exitCodes.usage);
    }
    case "run":
      return runCommand(invocation, io);
  }
}

/** Runs a command, with its messages as the flags want them. */
async function runCommand({ command, values }: Extract<Invocation, { kind: "run" }>, io: CliIo): Promise<number> {
  const wants = (flag: keyof typeof messageArgs) => command.args[flag] === messageArgs[flag] && values.has(flag);
  const { follows } = command;
  const messages = new HeldMessages(io, { json: values.has("json"), quiet: wants("quiet"), follows });
  const note = wants("verbose") ? messages.io.tell : undefined;
  const code = await command.run({
    io: note === undefined ? messages.io : { ...messages.io, note },
    value: (name) => values.get(name)?.[0],
    has: (name) => values.has(name) && !(name in messageArgs && wants(name as keyof typeof messageArgs)),
    values: (name) => values.get(name) ?? [],
  });
  return messages.end(code);
}
