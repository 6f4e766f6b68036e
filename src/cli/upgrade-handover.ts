import { readlink } from "node:fs/promises";
import { type Outcome, done, refuse } from "../upgrade/refusal.ts";
import { type Replacing, readPresentVersion } from "../upgrade/upgrade.ts";
import { callSidecar } from "./call-sidecar.ts";
import type { CommandInput } from "./command.ts";
import { findSidecar, findSidecarPlace, type SidecarAccess } from "./find-sidecar.ts";

/** How the running proxy is asked, or why it is not; that is a whole sentence. */
export type Handover = { readonly access: SidecarAccess } | { readonly access: undefined; readonly why: string };

/** Finds the sidecar before anything is replaced: a token that is missing must not be noticed afterwards. */
export async function findRunning(input: CommandInput, platform = process.platform): Promise<Outcome<Handover>> {
  if (input.has("replace-only") || input.has("dry-run"))
    return done({
      access: undefined,
      why: "A running proxy goes on with the file that it was started from until its next start.",
    });
  if (platform !== "linux")
    return done({ access: undefined, why: "Only Linux hands over: restart the proxy to have it run the new file." });
  const place = await findSidecarPlace(input, "/handover");
  if (typeof place === "string") return refuse("arguments", place);
  if (!place.isNamed && place.problems.length === 0)
    return done({
      access: undefined,
      why: "No configuration with a sidecar was found here, so no proxy was asked to hand over. Name the file of the proxy with --config, or send the proxy SIGUSR2 (systemctl kill --kill-whom=main -s USR2 penstock).",
    });
  const access = await findSidecar(input, "/handover", ["operate", "read"]);
  if (typeof access === "string") return refuse("arguments", `${access} To replace the file only: --replace-only`);
  return done({ access });
}

/** The process that took over. */
export interface HandedOver {
  readonly pid: number;
  readonly version: string;
}

/** Has the running proxy hand over to a file that needed no replacement, when it is of another version. Undefined when there was no need. */
export async function catchUp(
  running: Handover,
  replacing: Replacing,
  say: (line: string) => void,
): Promise<Outcome<HandedOver | undefined>> {
  const { target } = replacing;
  if (running.access === undefined) {
    say(`${target} is this very file: nothing to replace. ${running.why}`);
    return done(undefined);
  }
  const called = await callSidecar(running.access, "GET /status");
  const nothing = `${target} is this very file. Nothing to do.`;
  if (!called.ok && called.status === undefined) {
    // No proxy runs there.
    say(nothing);
    return done(undefined);
  }
  if (!called.ok)
    return refuse(
      "handover",
      `${target} is this very file: nothing to replace. Which version the proxy runs is not known (${called.status}): ${called.message} To have it run the file: penstock handover`,
    );
  const present = await readPresentVersion(replacing);
  if (!present.ok) return present;
  if (called.answer.version === present.value) {
    say(nothing);
    return done(undefined);
  }
  say(
    `${target} is this very file: nothing to replace. The running proxy is Penstock ${called.answer.version}, and not ${present.value}.`,
  );
  return handOverTo(running, target, say);
}

/** Has the running proxy start the new file. Undefined when none runs. */
export async function handOverTo(
  running: Handover,
  target: string,
  say: (line: string) => void,
): Promise<Outcome<HandedOver | undefined>> {
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
