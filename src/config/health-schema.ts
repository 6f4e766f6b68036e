import type * as z from "zod";

import { parseAuthority } from "../address/endpoint.ts";
import { count, duration, either, flag, list, parsed, settings, text, word } from "./fields.ts";
import { checked, type PartsOf } from "./parts.ts";
import { parseProbeUrl } from "./probe-url.ts";
import { type Problem, quoteValue } from "./problem.ts";
import { readDuration } from "./quantity.ts";

const endpoint = text('a host and a port such as "example.org:443"', (value) =>
  parseAuthority(value).ok ? undefined : 'is no host with a port. Write one such as "example.org:443"',
);

const probeSettings = settings(
  {
    connect: endpoint
      .describe("Open a tunnel to this `host:port` through the member, with its credentials.")
      .optional(),
    get: parsed('a URL such as "http://example.org/"', parseProbeUrl)
      .describe("Send a GET request for this URL through the member.")
      .optional(),
    status: list(count(100, 599), "a list of statuses")
      .describe("Statuses that are good answers to `get`. Default: 200 to 399.")
      .optional(),
  },
  '"tcp", { connect: "host:port" } or { get: "http://host/" }',
);

function findProbeConflicts({ connect, get, status }: PartsOf<ProbeSettings>): Problem[] {
  if ((connect === undefined) === (get === undefined)) {
    const found = connect === undefined ? 'neither "connect" nor "get"' : 'both "connect" and "get"';
    return [{ path: [], message: `Found ${found}. Write one of them.` }];
  }
  return status !== undefined && get === undefined
    ? [{ path: ["status"], message: 'It is for "get" only. Leave it out.' }]
    : [];
}

export const healthSettings = settings({
  probe: either('"tcp", { connect: "host:port" } or { get: "http://host/" }', [
    word(["tcp"]),
    checked(probeSettings, findProbeConflicts),
  ])
    .describe(
      'How a member is checked. `"tcp"`: a connection, with TLS where the member speaks it; `connect`: a whole tunnel; `get`: a request and its answer.',
    )
    .default("tcp"),
  every: duration({ zero: false })
    .describe("Time between two checks of a member, give or take a tenth.")
    .default("10s"),
  timeout: duration({ zero: false }).describe("Time for one check.").default("3s"),
  rise: count(1, 100).describe("Good checks in a row after which a member is healthy again.").default(2),
  fall: count(1, 100).describe("Bad checks in a row after which a member is not used.").default(3),
  whenIdle: flag()
    .describe("Check also while no request has asked for the pool in the time of ten checks.")
    .default(true),
});

export const ejectSettings = settings({
  failures: count(0, 1000)
    .describe(
      "Failures in a row after which a member is left out; 0 for never. Only its own count: it cannot be reached, does not speak its protocol, or refuses the credentials. What the target does never counts.",
    )
    .default(3),
  for: duration({ zero: false })
    .describe("How long. Then one connection tries it, and each failure doubles the time.")
    .default("10s"),
  max: duration({ zero: false }).describe("The longest time that a member is left out.").default("10m"),
  statuses: list(count(400, 599), "a list of statuses")
    .describe(
      "Answers to CONNECT and to forwarded requests that leave the member out at once, for as long as `Retry-After` says, at least `for` and at most `max`. Default: none.",
    )
    .optional(),
});

export function findEjectConflicts({ for: least, max }: PartsOf<EjectSettings>): Problem[] {
  if (typeof least !== "string" || typeof max !== "string" || readDuration(least) <= readDuration(max)) return [];
  return [{ path: ["max"], message: `Found ${quoteValue(max)}, which is shorter than "for" (${quoteValue(least)}).` }];
}

export type HealthSettings = z.output<typeof healthSettings>;
export type EjectSettings = z.output<typeof ejectSettings>;
type ProbeSettings = z.output<typeof probeSettings>;
