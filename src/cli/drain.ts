import { askSidecar, readDetail } from "./ask-sidecar.ts";
import { createCommand } from "./command.ts";
import { findSidecar, sidecarArgs } from "./find-sidecar.ts";
import { exitCodes } from "./io.ts";

/** `penstock drain`: has a running proxy drain, or takes that back. */
export const drain = createCommand({
  name: "drain",
  description:
    "Have a running proxy stop accepting, let its tunnels end, and end itself. It needs the sidecar, and its token.",
  args: {
    for: {
      type: "string",
      valueHint: "DURATION",
      description: 'How long tunnels may go on, as in 10m. Default: "timeouts.drain" of the proxy.',
    },
    cancel: { type: "boolean", description: "Take the drain back: accept connections again." },
    ...sidecarArgs,
  },
  async run(input) {
    const { io, value, has } = input;
    const duration = value("for");
    const access =
      has("cancel") && duration !== undefined
        ? "Found --for and --cancel. Leave one of them out."
        : await findSidecar(input, "/drain", ["operate"]);
    if (typeof access === "string") {
      io.tell(access);
      return exitCodes.usage;
    }
    const { url } = access;
    if (duration !== undefined) url.searchParams.set("for", duration);
    const answer = await askSidecar(access, url, has("cancel") ? "DELETE" : "POST");
    if (typeof answer === "string") {
      io.tell(answer);
      return exitCodes.failure;
    }
    if (!answer.ok) {
      io.tell(`The sidecar refused (${answer.status}): ${await readDetail(answer)}`);
      return exitCodes.failure;
    }
    if (has("cancel")) io.tell("The proxy accepts connections again.");
    else await io.print(`${(await answer.text()).trimEnd()}\n`);
    return exitCodes.ok;
  },
});
