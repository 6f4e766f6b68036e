import { readlink } from "node:fs/promises";
import { type Outcome, done, refuse } from "../upgrade/refusal.ts";
import { callSidecar } from "./call-sidecar.ts";
import type { CommandInput } from "./command.ts";
import { findSidecar, findSidecarPlace, type SidecarAccess } from "./find-sidecar.ts";

/** How the running proxy is asked, or why it is not; that is a whole sentence. */
export type Handover = { readonly access: SidecarAccess } | { readonly access: undefined; readonly why: string };

/** Finds the sidecar before anything is replaced: a token that is missing must not be noticed afterwards. */
export async function findRunning(input: CommandInput, platform = process.platform): Promise<Outcome<Handover>> {
  if (input.has("replace-only") || input.has("dry-run"))
    return done({ access: undefined, why: "A running proxy goes on with the old file until its next start." });
  if (platform !== "linux")
    return done({ access: undefined, why: "Only Linux hands over: restart the proxy to have it run the new file." });
  const place = await findSidecarPlace(input, "/handover");
  if (typeof place === "string") return refuse("arguments", place);
  if (!place.isNamed && place.problems.length === 0)
    return done({
      access: undefined,
      why: "No configuration with a sidecar was found here, so no proxy was asked to hand over. Name the file of the proxy with --config, or send the proxy SIGUSR2.",
    });
  const access = await findSidecar(input, "/handover", ["operate"]);
  if (typeof access === "string") return refuse("arguments", `${access} To replace the file only: --replace-only`);
  return done({ access });
}

/** Has the running proxy start the new file. Undefined when none runs. */
export async function handOverTo(
  running: Handover,
  target: string,
  say: (line: string) => void,
): Promise<Outcome<{ readonly pid: number; readonly version: string } | undefined>> {
  if (running.access === undefined) {
    say(running.why);
    return done(undefined);
  }
  const called = await callSidecar(running.access, "POST /handover");
  if (called.ok) {
    const { pid, version } = called.answer;
    say(`Handed over to process ${pid} (Penstock ${version}).`);
    const runs = await readlink(`/proc/${pid}/exe`).catch(() => undefined);
    if (runs !== undefined && runs !== target)
      say(`Warning: that process runs ${runs}, and not ${target}. Name it with --executable to replace it.`);
    return done({ pid, version });
  }
  if (called.status === undefined) {
    say(`${called.message} No proxy runs there, so none was asked to hand over.`);
    return done(undefined);
  }
  return refuse("handover", `No hand-over (${called.status}): ${called.message}`, called.problems);
}
