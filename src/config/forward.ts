import { randomBytes } from "node:crypto";
import type * as z from "zod";

import type { ForwardSettings } from "../proxy/exchange/forward-settings.ts";
import { count, duration, flag, pemPaths, settings, text, word } from "./fields.ts";
import type { Materials } from "./materials.ts";
import { findAuthorityFaults, listPaths } from "./pem.ts";
import type { Problem } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import { pemTexts, type References } from "./references.ts";

export const forwardReferences: References = { texts: pemTexts };

/** How HTTP requests with a whole URI are forwarded. */
export const forwardSchema = settings({
  via: text("a name", (value) =>
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value)
      ? undefined
      : "is not a name. Write up to 64 letters, digits, dots, hyphens or underscores",
  )
    .describe(
      "Name of this proxy in `Via`. A request with this very name came through this proxy before and is refused as a loop, so that each proxy needs its own name. Default: `penstock-` and some letters that change at every start.",
    )
    .optional(),
  forwardedFor: word(["off", "forwarded", "x-forwarded-for", "both"])
    .describe(
      "Whether and in which field the next hop learns the client's address: `Forwarded` (RFC 7239) or `X-Forwarded-For`.",
    )
    .default("off"),
  httpsOverPlain: flag()
    .describe(
      "Forward `https://` URIs also for clients on other machines that do not speak TLS to this proxy. Others can read what such a client sends and receives on its way to the proxy.",
    )
    .default(false),
  ca: pemPaths()
    .describe(
      "PEM file, or files, with the certificate authorities to trust in the origins of `https://` URIs. Default: the ones that come with the program.",
    )
    .optional(),
  clientIdle: duration({ zero: true })
    .describe('How long the connection of a client is kept for its next request; `"0"` closes it after each.')
    .default("60s"),
  originIdle: duration({ zero: true })
    .describe('How long the connection to an origin is kept for the next request; `"0"` closes it after each.')
    .default("15s"),
  idleOrigins: count(0, 100_000).describe("Connections to origins that are kept at once.").default(512),
  idlePerOrigin: count(0, 100_000)
    .describe("Connections that are kept at once to one origin on one route.")
    .default(64),
})
  .describe("How HTTP requests with a whole URI, as in `GET http://example.org/`, are forwarded.")
  .prefault({});

/** Makes a name for `Via` that no other proxy has. */
export function createOwnName(): string {
  return `penstock-${randomBytes(5).toString("hex")}`;
}

/** Compiles how requests are forwarded; `ownName` is for `Via` when none is set. Reports certificates that cannot be used. */
export function compileForward(
  options: z.output<typeof forwardSchema>,
  { files }: Pick<Materials, "files">,
  ownName = createOwnName(),
): { forward: ForwardSettings; problems: Problem[] } {
  const { ca } = options;
  return {
    problems: ca === undefined ? [] : findAuthorityFaults(ca, ["forward", "ca"], files),
    forward: {
      via: options.via ?? ownName,
      forwardedFor: options.forwardedFor,
      httpsOverPlain: options.httpsOverPlain,
      ...(ca !== undefined && { ca: listPaths(ca).map((path) => files.get(path) ?? "") }),
      clientIdleMs: readDuration(options.clientIdle),
      originIdleMs: readDuration(options.originIdle),
      idleOrigins: options.idleOrigins,
      idlePerOrigin: options.idlePerOrigin,
    },
  };
}
