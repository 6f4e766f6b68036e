import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** What the unit of the installed service says about its files (systemd.exec(5)). */
export interface ServiceUnit {
  /** The file of the unit. */
  readonly path: string;
  /** The configuration that it starts with; undefined where it names none. */
  readonly config: string | undefined;
  /** The executable that it starts. */
  readonly executable: string | undefined;
  /** Name or number; undefined for root. With DynamicUser= a user of that name is made for as long as the service runs. */
  readonly user: string | undefined;
  readonly isDynamic: boolean;
  readonly group: string | undefined;
  readonly supplementaryGroups: readonly string[];
  /** Whether its capabilities let it read every file (capabilities(7)). */
  readonly readsAll: boolean;
  /** Its lines Environment=, and the files of EnvironmentFile=. */
  readonly environment: readonly string[];
  readonly environmentFiles: readonly string[];
  /** Folders whose files the service does not see. */
  readonly hidden: readonly string[];
  /** The only folders that it may write to; undefined where the unit forbids none. */
  readonly writable: readonly string[] | undefined;
  /** Folders that systemd makes for the user of the service. */
  readonly made: readonly string[];
}

/** Folders of units, the one that counts first (systemd.unit(5)). */
const FOLDERS = [
  "etc/systemd/system",
  "run/systemd/system",
  "usr/local/lib/systemd/system",
  "usr/lib/systemd/system",
  "lib/systemd/system",
] as const;
const NAME = "penstock.service";

/** Reads the installed unit, and what was added to it; undefined where there is none. */
export function readServiceUnit(root: string): ServiceUnit | undefined {
  const folders = FOLDERS.map((folder) => join(root, folder));
  const path = folders.map((folder) => join(folder, NAME)).find((file) => read(file) !== undefined);
  if (path === undefined) return undefined;
  const settings = new Map<string, string[]>();
  for (const text of [read(path) ?? "", ...readAdded(folders)]) addSettings(text, settings);
  return describeUnit(path, settings);
}

/** What `systemctl edit` and packages add, in the order of the names. A name counts once. */
function readAdded(folders: readonly string[]): string[] {
  const texts = new Map<string, string>();
  for (const folder of folders.map((each) => join(each, `${NAME}.d`)))
    for (const name of list(folder))
      if (name.endsWith(".conf") && !texts.has(name)) texts.set(name, read(join(folder, name)) ?? "");
  return [...texts].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, text]) => text);
}

/** Settings of [Service] by their name. An empty value takes back those before it. */
function addSettings(text: string, settings: Map<string, string[]>): void {
  let section = "";
  for (const line of text.replaceAll(/\\\n/g, " ").split("\n")) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#") || trimmed.startsWith(";")) continue;
    if (trimmed.startsWith("[")) section = trimmed;
    const at = trimmed.indexOf("=");
    if (section !== "[Service]" || at < 0) continue;
    const [name, value] = [trimmed.slice(0, at).trim(), trimmed.slice(at + 1).trim()];
    settings.set(name, value === "" ? [] : [...(settings.get(name) ?? []), value]);
  }
}

function describeUnit(path: string, settings: ReadonlyMap<string, readonly string[]>): ServiceUnit {
  const last = (name: string): string | undefined => settings.get(name)?.at(-1);
  const words = (name: string): string[] => (settings.get(name) ?? []).flatMap((value) => value.split(/\s+/));
  const is = (name: string): boolean => /^(?:1|yes|true|on)$/i.test(last(name) ?? "");
  const start = last("ExecStart")?.replace(/^[-@:+!]*/, "") ?? "";
  const config = /\s--config[=\s]+(\S+)/.exec(start)?.[1];
  const isDynamic = is("DynamicUser");
  const made = (["State", "Runtime", "Cache", "Logs"] as const).flatMap((kind) =>
    // After a colon is the name of a link to it.
    words(`${kind}Directory`).map((name) => join(PLACES[kind], name.split(":")[0] ?? "")),
  );
  // A user that exists only for a while has no homes, and files in folders of its own only.
  const hasOwnTmp = is("PrivateTmp") || isDynamic;
  const isStrict = last("ProtectSystem") === "strict" || isDynamic;
  return {
    path,
    config: config === undefined ? undefined : resolve(last("WorkingDirectory") ?? "/", config),
    executable: start === "" ? undefined : start.split(/\s+/)[0],
    user: last("User") ?? (isDynamic ? NAME.slice(0, NAME.indexOf(".")) : undefined),
    isDynamic,
    group: last("Group"),
    supplementaryGroups: words("SupplementaryGroups"),
    readsAll: words("AmbientCapabilities").some((name) => /^cap_dac_(?:override|read_search)$/i.test(name)),
    environment: settings.get("Environment") ?? [],
    environmentFiles: words("EnvironmentFile"),
    hidden: [
      ...(/^(?:1|yes|true|on|tmpfs)$/i.test(last("ProtectHome") ?? "") ? ["/home", "/root", "/run/user"] : []),
      ...(hasOwnTmp ? ["/tmp", "/var/tmp"] : []),
    ],
    writable: isStrict ? [...made, ...words("ReadWritePaths").map((each) => each.replace(/^[-+]*/, ""))] : undefined,
    made,
  };
}

const PLACES = { State: "/var/lib", Runtime: "/run", Cache: "/var/cache", Logs: "/var/log" } as const;

/** Whether a path is one of the folders, or below one. */
export function isWithin(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`));
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // There is no such unit, or nobody may read it.
    return undefined;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Nothing was added there.
    return [];
  }
}
