import { accessSync, chmodSync, constants, mkdirSync, statSync } from "node:fs";
import { readErrorCode } from "../error-code.ts";

/** The folder for what is kept across restarts. */
export interface StateFolderPlan {
  /** Absolute. */
  readonly path: string;
  /** What names it, for messages: a setting, or the variable of systemd. */
  readonly setting: "state.folder" | "STATE_DIRECTORY";
}

/**
 * Makes the folder when it is not there, and says why it cannot be used. Nobody
 * else may use it: what is kept there may be secret, and the proxy believes it.
 * Windows has neither owners by number nor modes: there the folder's own
 * permissions decide.
 */
export function prepareStateFolder(
  { path, setting }: StateFolderPlan,
  platform: NodeJS.Platform = process.platform,
): string | undefined {
  const folder = `the folder ${JSON.stringify(path)} of "${setting}"`;
  const instead = setting === "state.folder" ? ', or set "state.folder" to another' : "";
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    return `Cannot make ${folder}: ${explain(error)}. Make it for the user of the proxy${instead}.`;
  }
  try {
    if (platform !== "win32") {
      // systemd made it for this service alone, unless StateDirectoryMode= says otherwise.
      if (setting === "STATE_DIRECTORY" && isOurs(path)) chmodSync(path, 0o700);
      const { uid, mode } = statSync(path);
      const user = process.geteuid?.();
      if (uid !== user)
        return `Cannot use ${folder}: it belongs to user ${uid}, and the proxy runs as user ${user}. Run "chown ${user} ${path}"${instead}.`;
      if ((mode & 0o077) !== 0)
        return `Cannot use ${folder}: others may use it (mode 0${(mode & 0o777).toString(8)}). Run "chmod 700 ${path}"${instead}.`;
    }
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    return `Cannot use ${folder}: ${explain(error)}. Make it writable for the user of the proxy${instead}.`;
  }
  return undefined;
}

function isOurs(path: string): boolean {
  return statSync(path).uid === process.geteuid?.();
}

function explain(error: unknown): string {
  const code = readErrorCode(error) ?? "";
  return reasons[code] ?? `the system says ${code === "" ? String(error) : code}`;
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "the system does not allow it",
  EPERM: "the system does not allow it",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EEXIST: "it is a file",
  ENOTDIR: "part of the path is a file",
};
