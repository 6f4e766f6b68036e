import { randomBytes } from "node:crypto";

import type { ForwardSettings } from "../proxy/exchange/forward-settings.ts";
import type { ForwardOptions } from "./forward-schema.ts";
import type { Materials } from "./materials.ts";
import { findAuthorityFault, listPaths } from "./pem.ts";
import type { Problem } from "./problem.ts";
import { parseDuration } from "./quantity.ts";

/** Compiles how requests are forwarded. Tells of certificates that cannot be used. */
export function compileForward(
  options: ForwardOptions,
  materials: Materials,
): { forward: ForwardSettings; problems: Problem[] } {
  const paths = options.ca === undefined ? [] : listPaths(options.ca);
  const texts = paths.map((path) => materials.files.get(path) ?? "");
  const problems = paths.flatMap((path, at): Problem[] => {
    const text = materials.files.get(path);
    // A missing file has been told of already.
    if (text === undefined) return [];
    const where = typeof options.ca === "string" ? [] : [at];
    const fault = findAuthorityFault(["forward", "ca", ...where], path, text);
    return fault === undefined ? [] : [fault];
  });
  return {
    problems,
    forward: {
      // A name that nobody else has.
      via: options.via ?? `penstock-${randomBytes(5).toString("hex")}`,
      forwardedFor: options.forwardedFor,
      httpsOverPlain: options.httpsOverPlain,
      ...(options.ca !== undefined && { ca: texts }),
      clientIdleMs: readDuration(options.clientIdle),
      originIdleMs: readDuration(options.originIdle),
      idleOrigins: options.idleOrigins,
      idlePerOrigin: options.idlePerOrigin,
    },
  };
}

function readDuration(text: string): number {
  const parsed = parseDuration(text);
  if (!parsed.ok) throw new Error(`The duration ${text} is unchecked`);
  return parsed.value;
}
