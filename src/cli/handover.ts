import { resolve } from "node:path";
import { readList, readText } from "../config/plain-data.ts";
import { askSidecar, readJson } from "./ask-sidecar.ts";
import { createCommand } from "./command.ts";
import { findSidecar, sidecarArgs } from "./find-sidecar.ts";
import { exitCodes } from "./io.ts";

/** `penstock handover`: has a running proxy start a new process and hand over to it. */
export const handover = createCommand({
  name: "handover",
  description:
    "Have a running proxy start its executable again, which may be a new one, and hand over to that process. It needs the sidecar, and its token. Exit code 78: the new process cannot use the configuration, and the old one goes on.",
  args: {
    executable: {
      type: "string",
      valueHint: "PATH",
      description: "The executable to start. Default: the one of the running proxy, at its path.",
    },
    ...sidecarArgs,
  },
  async run({ value, io }) {
    const access = await findSidecar({ value, io }, "/handover", ["operate"]);
    if (typeof access === "string") {
      io.tell(access);
      return exitCodes.usage;
    }
    const executable = value("executable");
    if (executable !== undefined) access.url.searchParams.set("executable", resolve(io.folder, executable));
    const answer = await askSidecar(access, access.url, "POST");
    if (typeof answer === "string") {
      io.tell(answer);
      return exitCodes.failure;
    }
    const body = await readJson(answer);
    if (answer.status === 200) {
      io.tell(`Handed over to process ${String(body["pid"])} (Penstock ${String(body["version"])}).`);
      return exitCodes.ok;
    }
    io.tell(`No hand-over (${answer.status}): ${readText(body, "detail") ?? "the sidecar does not say why."}`);
    for (const problem of readList(body["problems"])) io.tell(`  ${String(problem)}`);
    return answer.status === 422 ? exitCodes.configuration : exitCodes.failure;
  },
});
