import { readFileSync, realpathSync } from "node:fs";
import type { Machine } from "./io.ts";
import { readServiceUnit } from "./service-unit.ts";

/** Environment variables by name. */
type Variables = Readonly<Record<string, string>>;

/**
 * The variables that the installed unit gives a proxy with this configuration, so that
 * root sees what the service sees; none for another configuration, or another user.
 */
export function readServiceVariables(file: string, { root, isRoot }: Machine): Variables {
  const unit = isRoot ? readServiceUnit(root) : undefined;
  if (unit?.config === undefined || follow(unit.config) !== follow(file)) return {};
  const written = unit.environment.flatMap((line) => [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)]);
  const assigned = written.map(([, double, single, plain]) => double ?? single ?? plain ?? "");
  // Files go before what the unit says itself (systemd.exec(5)).
  const state = unit.made.filter((folder) => folder.startsWith("/var/lib/")).join(":");
  return {
    ...(state !== "" && { STATE_DIRECTORY: state }),
    ...Object.fromEntries([...assigned, ...unit.environmentFiles.flatMap(readLines)].flatMap(readAssignment)),
  };
}

/** The path that a file has without links, to be compared. */
export function follow(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Nothing is there.
    return path;
  }
}

/** The lines of a file of variables; none where it cannot be read. A hyphen says that it may be missing. */
function readLines(path: string): string[] {
  try {
    const lines = readFileSync(path.replace(/^-/, ""), "utf8").replaceAll("\\\n", "").split("\n");
    return lines.map((line) => line.trim()).filter((line) => !/^[#;]/.test(line));
  } catch {
    return [];
  }
}

function readAssignment(text: string): [string, string][] {
  const [, name, value = ""] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined) return [];
  const [, double, single] = /^(?:"(.*)"|'(.*)')$/s.exec(value.trim()) ?? [];
  return [[name, double ?? single ?? value.trim()]];
}
