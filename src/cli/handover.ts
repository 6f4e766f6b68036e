import { resolve } from "node:path";
import { formatJson } from "../escape-text.ts";
import { callSidecar } from "./call-sidecar.ts";
import { createCommand } from "./command.ts";
import { findSidecar, sidecarArgs } from "./find-sidecar.ts";
import { endWith, exitCodes } from "./io.ts";

/** `penstock handover`: has a running proxy start a new process and hand over to it. */
export const handover = createCommand({
  name: "handover",
  description:
    "Have a running proxy start its executable again, which may be a new one, and hand over to that process. It needs the sidecar, and its token. Exit code 78: the new process cannot use the configuration, and the old one goes on.",
  examples: [
    ["penstock handover --executable ./penstock-new", "Change to another executable without ending a tunnel."],
  ],
  args: {
    executable: {
      type: "string",
      valueHint: "PATH",
      description: "The executable to start. Default: the one of the running proxy, at its path.",
    },
    json: { type: "boolean", description: "Print JSON, as the sidecar has it." },
    ...sidecarArgs,
  },
  async run({ value, has, io }) {
    const access = await findSidecar({ value, io }, "/handover", ["operate"]);
    if (typeof access === "string") return endWith(io, access, exitCodes.usage);
    const executable = value("executable");
    const query = executable === undefined ? {} : { executable: resolve(io.folder, executable) };
    const called = await callSidecar(access, "POST /handover", { query });
    if (called.ok) {
      if (has("json")) await io.print(`${formatJson(called.answer, 2)}\n`);
      else io.tell(`Handed over to process ${called.answer.pid} (Penstock ${called.answer.version}).`);
      return exitCodes.ok;
    }
    const { status, message, problems } = called;
    io.tell(status === undefined ? message : `No hand-over (${status}): ${message}`);
    for (const problem of problems) io.tell(`  ${problem}`);
    return status === 422 ? exitCodes.configuration : exitCodes.failure;
  },
});
