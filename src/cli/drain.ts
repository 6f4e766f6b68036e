import { formatJson } from "../escape-text.ts";
import { findExitCode } from "./ask-answer.ts";
import { callSidecar, describeFailedCall } from "./call-sidecar.ts";
import { createCommand } from "./command.ts";
import { findSidecar, sidecarArgs } from "./find-sidecar.ts";
import { endWith, exitCodes } from "./io.ts";

/** `penstock drain`: has a running proxy drain, or takes that back. */
export const drain = createCommand({
  name: "drain",
  description:
    "Have a running proxy stop accepting, let its tunnels end, and end itself. It needs the sidecar, and its token.",
  examples: [["penstock drain --for 10m", "End once tunnels are over, or in ten minutes."]],
  args: {
    for: {
      type: "string",
      valueHint: "DURATION",
      description: 'How long tunnels may go on, as in 10m. Default: "timeouts.drain" of the proxy.',
    },
    cancel: { type: "boolean", description: "Take the drain back: accept connections again." },
    json: { type: "boolean", description: "Print JSON, as the sidecar has it. That is also the default." },
    ...sidecarArgs,
  },
  async run(input) {
    const { io, value, has } = input;
    const duration = value("for");
    const access =
      has("cancel") && duration !== undefined
        ? "Found --for and --cancel. Leave one of them out."
        : await findSidecar(input, "/drain", ["operate"]);
    if (typeof access === "string") return endWith(io, access, exitCodes.usage);
    const query = duration === undefined ? {} : { for: duration };
    const called = has("cancel")
      ? await callSidecar(access, "DELETE /drain")
      : await callSidecar(access, "POST /drain", { query });
    if (!called.ok) return endWith(io, describeFailedCall(called), findExitCode(called.status));
    if (called.answer === undefined) io.tell("The proxy accepts connections again.");
    else await io.print(`${formatJson(called.answer)}\n`);
    return exitCodes.ok;
  },
});
