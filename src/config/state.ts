import { resolve } from "node:path";

import type { StateFolderPlan } from "../state/state-folder.ts";
import { settings, text } from "./fields.ts";
import type { Materials } from "./materials.ts";
import { checked } from "./parts.ts";
import { findRedisConflicts, redisFields } from "./redis-schema.ts";

const stateSettings = settings({
  folder: text("the path of a folder")
    .describe(
      "Folder for what is kept across restarts, relative to the configuration file. The proxy makes it, for its own user alone (0700), and does not start with one that others may use. Default: `$STATE_DIRECTORY`, which systemd sets, or none. Nothing is kept there yet.",
    )
    .optional(),
  ...redisFields,
});

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
