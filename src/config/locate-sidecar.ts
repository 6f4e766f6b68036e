import { dirname, resolve } from "node:path";

import { findConfigFile } from "./find-config-file.ts";
import type { LoadOptions } from "./load.ts";
import { listVariables } from "./materials.ts";
import { applyOverrides } from "./overrides.ts";
import { readRecord } from "./plain-data.ts";
import type { Problem } from "./problem.ts";
import { readConfigFile } from "./read-config-file.ts";
import type { SidecarPlan } from "./sidecar.ts";

/**
 * Finds where the sidecar of a configuration listens, and looks at nothing else:
 * a proxy runs on when the file on disk has become invalid, and is asked then, too.
 * Problems are those that may hide the address.
 */
export async function locateSidecar(
  options: Omit<LoadOptions, "terminal">,
): Promise<{ readonly at: SidecarPlan["at"] | undefined; readonly problems: readonly Problem[] }> {
  const { folder, variables, flags } = options;
  const found = await findConfigFile(options);
  const file = found.ok ? found.value.file : undefined;
  const read = file === undefined ? undefined : await readConfigFile(file, options);
  const value = read?.ok ? read.value.value : {};
  const over = applyOverrides(value, variables, flags, folder, listVariables(value));
  const problems = [found, read].flatMap((each) => (each === undefined || each.ok ? [] : each.problems));
  const sidecar = readRecord(over.raw)["sidecar"];
  const at = readAddress(sidecar, file === undefined ? folder : dirname(file));
  if (at === undefined && sidecar !== undefined)
    problems.push({ path: ["sidecar"], message: 'Found neither a port nor the path of a socket. Write "port: 9080".' });
  return { at, problems: [...problems, ...over.problems] };
}

function readAddress(sidecar: unknown, home: string): SidecarPlan["at"] | undefined {
  const { unix, port, host = "127.0.0.1" } = readRecord(sidecar);
  if (typeof unix === "string") return { kind: "unix", path: resolve(home, unix) };
  return typeof port === "number" && typeof host === "string" ? { kind: "tcp", host, port } : undefined;
}
