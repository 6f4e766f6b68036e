import { formatJson } from "../escape-text.ts";
import { seriesAnswer } from "../sidecar/series.ts";
import { statusAnswer } from "../sidecar/status.ts";
import { askAnswer } from "./ask-answer.ts";
import { createCommand } from "./command.ts";
import { findSidecar, sidecarArgs } from "./find-sidecar.ts";
import { endWith, exitCodes } from "./io.ts";
import { formatStatus } from "./status-screen.ts";
import { wantsColour } from "./style.ts";

/** `penstock status`: how a running proxy is, on one screen. */
export const status = createCommand({
  name: "status",
  description:
    "Show how a running proxy is: what it carries, how fast, what it refuses, its upstreams and certificates. It needs the sidecar, and its token.",
  examples: [["penstock status --json", "Give a script the state of the running proxy."]],
  args: {
    json: { type: "boolean", description: "Print JSON, as the sidecar has it." },
    ...sidecarArgs,
  },
  async run(input) {
    const { io, has } = input;
    const access = await findSidecar(input, "/status");
    if (typeof access === "string") return endWith(io, access, exitCodes.usage);
    const answer = await askAnswer(access, access.url, statusAnswer);
    if (!answer.ok) return endWith(io, answer.message, exitCodes.failure);
    if (has("json")) {
      await io.print(`${formatJson(answer.raw, 2)}\n`);
      return exitCodes.ok;
    }
    const series = await askAnswer(access, new URL("/series?span=15m", access.url), seriesAnswer);
    await io.print(formatStatus(answer.value, series.ok ? series.value : undefined, wantsColour(io)));
    return exitCodes.ok;
  },
});
