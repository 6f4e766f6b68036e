import { resolve } from "node:path";

import type { CalendarPlan } from "../proxy/limit/calendar.ts";
import type { StateFolderPlan } from "../state/state-folder.ts";
import { count, settings, text } from "./fields.ts";
import type { Materials } from "./materials.ts";
import { checked } from "./parts.ts";
import { findRedisConflicts, redisFields } from "./redis-schema.ts";
import type { Problem } from "./problem.ts";
import { readList, readRecord } from "./plain-data.ts";
import { type References, serverReferences } from "./references.ts";

const stateSettings = settings({
  folder: text("the path of a folder")
    .describe(
      "Folder for what is kept across restarts, relative to the configuration file. The proxy makes it, for its own user alone (0700), and does not start with one that others may use. Default: `$STATE_DIRECTORY`, which systemd sets, or none. The use of users is kept there (`usage.db`), and the last good text of lists (`lists/`), accounts, keys and certificates of `acme` (`acme/`).",
    )
    .optional(),
  timezone: text("the name of a time zone, such as Europe/Berlin", findZoneFault)
    .describe("Time zone in which days and months of quotas and of use begin: an IANA name, or `UTC`.")
    .default("UTC"),
  monthStart: count(1, 28).describe("Day on which a month of quotas and of use begins, from 1 to 28.").default(1),
  ...redisFields,
});

/** Of Redis. */
export const stateReferences: References = { texts: serverReferences.texts };

/** Where things are kept across restarts, and shared with other proxies. */
export const stateSchema = checked(stateSettings, findRedisConflicts)
  .describe("What is kept across restarts, and shared with other proxies.")
  .prefault({});

/** The folder of the setting, else the first one that systemd made for this service (systemd.exec(5)). */
export function compileState(
  { folder }: { readonly folder?: string | undefined },
  { folder: home, variables }: Pick<Materials, "folder" | "variables">,
): StateFolderPlan | undefined {
  if (folder !== undefined) return { path: resolve(home, folder), setting: "state.folder" };
  const [given = ""] = (variables["STATE_DIRECTORY"] ?? "").split(":");
  return given === "" ? undefined : { path: resolve(home, given), setting: "STATE_DIRECTORY" };
}

/** How days and months of use are counted. */
export function compileCalendar({
  timezone,
  monthStart,
}: {
  readonly timezone: string;
  readonly monthStart: number;
}): CalendarPlan {
  return { timeZone: timezone, monthStart };
}

/** Quotas that would be forgotten at each start. */
export function findForgottenQuotas(
  { limits, users }: { readonly limits: unknown; readonly users?: unknown },
  places: readonly (object | undefined)[],
): Problem[] {
  if (places.some((place) => place !== undefined)) return [];
  const message =
    'A quota needs "state.folder" or "state.redis", where use is kept: without them each start would forget what was used.';
  const has = (bytes: unknown) => readRecord(bytes)["day"] !== undefined || readRecord(bytes)["month"] !== undefined;
  const { bytes } = readRecord(readRecord(limits)["perUser"]);
  return [
    ...(has(bytes) ? [{ path: ["limits", "perUser", "bytes"], message }] : []),
    ...readList(users).flatMap((user, at) =>
      has(readRecord(readRecord(user)["limits"])["bytes"]) ? [{ path: ["users", at, "limits", "bytes"], message }] : [],
    ),
  ];
}

function findZoneFault(name: string): string | undefined {
  // Offsets such as +01:00 are no zones: they have no daylight saving.
  if (/^[A-Za-z]/.test(name) && isZone(name)) return undefined;
  return 'is not a time zone that is known here. Write an IANA name such as "Europe/Berlin", or "UTC"';
}

function isZone(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
