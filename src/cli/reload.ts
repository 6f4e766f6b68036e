import { readList, readText } from "../config/plain-data.ts";
import { askSidecar, readJson } from "./ask-sidecar.ts";
import { createCommand } from "./command.ts";
import { findSidecar, sidecarArgs } from "./find-sidecar.ts";
import { exitCodes } from "./io.ts";

/** `penstock reload`: has a running proxy read its configuration again. */
export const reload = createCommand({
  name: "reload",
  description:
    "Have a running proxy read its configuration again, and print what changed. It needs the sidecar, and its token. Exit code 78: the new configuration cannot be used, and nothing changed.",
  args: sidecarArgs,
  async run({ value, io }) {
    const access = await findSidecar({ value, io }, "/reload", ["operate"]);
    if (typeof access === "string") {
      io.tell(access);
      return exitCodes.usage;
    }
    const answer = await askSidecar(access, access.url, "POST");
    if (typeof answer === "string") {
      io.tell(answer);
      return exitCodes.failure;
    }
    const body = await readJson(answer);
    const detail = readText(body, "detail") ?? "it does not say why.";
    if (answer.status === 200) {
      const changes = readList(body["changes"]).map(String);
      await io.print(changes.map((change) => `${change}\n`).join(""));
      for (const warning of readList(body["warnings"])) io.tell(`Warning: ${String(warning)}`);
      io.tell(changes.length === 0 ? "Reloaded: the configuration has not changed." : "Reloaded.");
      return exitCodes.ok;
    }
    if (answer.status === 422) {
      io.tell(detail);
      for (const problem of readList(body["problems"])) io.tell(`  ${String(problem)}`);
      return exitCodes.configuration;
    }
    io.tell(`The sidecar refused (${answer.status}): ${detail}`);
    return exitCodes.failure;
  },
});
