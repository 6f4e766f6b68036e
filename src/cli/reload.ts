import { formatJson } from "../escape-text.ts";
import { callSidecar, describeFailedCall } from "./call-sidecar.ts";
import { createCommand } from "./command.ts";
import { findSidecar, sidecarArgs } from "./find-sidecar.ts";
import { endWith, exitCodes } from "./io.ts";

/** `penstock reload`: has a running proxy read its configuration again. */
export const reload = createCommand({
  name: "reload",
  description:
    "Have a running proxy read its configuration again, and print what changed. It needs the sidecar, and its token. Exit code 78: the new configuration cannot be used, and nothing changed.",
  examples: [["penstock reload", "Have the running proxy read its configuration again."]],
  args: { json: { type: "boolean", description: "Print JSON, as the sidecar has it." }, ...sidecarArgs },
  async run({ value, has, io }) {
    const access = await findSidecar({ value, io }, "/reload", ["operate"]);
    if (typeof access === "string") return endWith(io, access, exitCodes.usage);
    const called = await callSidecar(access, "POST /reload");
    if (called.ok && has("json")) {
      await io.print(`${formatJson(called.answer, 2)}\n`);
      return exitCodes.ok;
    }
    if (called.ok) {
      const { changes, warnings } = called.answer;
      await io.print(changes.map((change) => `${change}\n`).join(""));
      for (const warning of warnings) io.tell(`Warning: ${warning}`);
      return endWith(
        io,
        changes.length === 0 ? "Reloaded: the configuration has not changed." : "Reloaded.",
        exitCodes.ok,
      );
    }
    const { status, message, problems } = called;
    if (status === 422) {
      io.tell(message);
      for (const problem of problems) io.tell(`  ${problem}`);
      return exitCodes.configuration;
    }
    return endWith(io, describeFailedCall(called), exitCodes.failure);
  },
});
