import type * as z from "zod";

import { formatEndpoint } from "../address/endpoint.ts";
import type { ChooseMember } from "../proxy/route/pool-plan.ts";
import {
  count,
  duration,
  either,
  flag,
  hook,
  list,
  parsed,
  settings,
  text,
  textPatterns,
  unquoted,
  word,
} from "./fields.ts";
import { ejectSettings, findEjectConflicts, healthSettings } from "./health-schema.ts";
import { checked, type Parts, type PartsOf } from "./parts.ts";
import { isRecord } from "./plain-data.ts";
import { type Problem, quoteNamed, type Read } from "./problem.ts";
import { findUpstreamConflicts, nameUrl, upstreamSettings, upstreamUrl } from "./upstream-schema.ts";
import { parseUpstreamUrl } from "./upstream-url.ts";

/** A member as a text: what has the signs of a URL is one. */
function parseMemberText(value: string): Read<{ kind: "url" | "name" }> {
  if (isName(value)) return { ok: true, value: { kind: "name" } };
  const url = parseUpstreamUrl(value);
  return url.ok ? { ok: true, value: { kind: "url" } } : url;
}

/** Whether it can be the name of an upstream. */
function isName(value: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(value);
}

function findNameFault(name: string): string | undefined {
  return /^[A-Za-z0-9[][A-Za-z0-9._:[\]-]{0,127}$/.test(name)
    ? undefined
    : "has other characters. Write letters, digits, dots, colons, hyphens or underscores";
}

const memberSettings = settings(
  {
    ...upstreamSettings.shape,
    url: upstreamUrl().describe("URL of the member, as of an upstream.").optional(),
    upstream: text("the name of an upstream", undefined, unquoted)
      .describe('Name of another upstream or pool, or `"direct"`, instead of a URL.')
      .optional(),
    name: text("a name", findNameFault)
      .describe(
        "Name in logs and metrics, unique in the pool. Default: `host:port` of the URL, or the name of the upstream.",
      )
      .optional(),
    weight: count(1, 1000).describe("Share of the connections, compared with the other members.").default(1),
    maxConnections: count(0, 1_000_000)
      .describe("Connections through the member at once; 0 for no limit. A full member is passed over.")
      .default(0),
    backup: flag().describe("Use the member only when no other is healthy.").default(false),
  },
  "a URL, the name of an upstream, or a map with a url",
  unquoted,
);

function findMemberConflicts(member: PartsOf<MemberSettings>): Problem[] {
  const { url, upstream } = member;
  if ((url === undefined) === (upstream === undefined)) {
    const found = url === undefined ? 'neither "url" nor "upstream"' : 'both "url" and "upstream"';
    return [{ path: [], message: `Found ${found}. Write one of them.` }];
  }
  if (url !== undefined) return findUpstreamConflicts({ ...member, url });
  return Object.keys(upstreamSettings.shape).flatMap((setting) =>
    member[setting as keyof typeof member] === undefined
      ? []
      : [
          {
            path: [setting],
            message: `It belongs to a URL. Set it for the upstream itself, or write "url" instead of "upstream".`,
          },
        ],
  );
}

const memberForms = [
  parsed("a URL, or the name of an upstream", parseMemberText, undefined, nameUrl).meta({
    pattern: `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$|${textPatterns.upstream}`,
  }),
  checked(memberSettings, findMemberConflicts),
] as const;

const SESSION = "session";

const affinity = () => word(["user", "client", "target", SESSION]);

export const poolSettings = settings({
  pool: list(
    either("a URL, the name of an upstream, or a map with a url", memberForms, unquoted),
    "a list of members",
    unquoted,
  ).describe('The members: URLs, names of other upstreams, `"direct"`, or maps. Makes the upstream a pool.'),
  balance: either("the name of a balance, or a function", [
    word(["round-robin", "random", "least-connections", "latency", "hash", "first"]),
    hook<ChooseMember>("ChooseMember", "a function that chooses a member"),
  ])
    .describe(
      "How a member is chosen among the healthy ones. `round-robin`: in turn; `random`: the one with fewer connections of two; `least-connections`; `latency`: in proportion to speed; `hash`: by what `hash` says; `first`: the first one. Shares follow `weight`. A function gets the members and the request, and gives the name of a member.",
    )
    .default("round-robin"),
  hash: affinity()
    .describe(
      'What `balance: "hash"` looks at: `user`, `client`, `target` (the host), or `session`, the user with the parameter of that name (`auth.parameters`). Requests without a session count by user, and those without a user by client.',
    )
    .default("user"),
  sticky: settings({
    by: affinity().describe(
      "What keeps its member: `user` (requests without one count by client), `client`, `target` (the host), or `session`, the user with the parameter of that name (`auth.parameters`). Requests without a session keep no member.",
    ),
    for: duration({ zero: false }).describe("How long after its last use.").default("10m"),
  })
    .describe(
      "Sessions: what has been led to a member is led there again while the member is healthy. A full member is waited for. Default: none.",
    )
    .optional(),
  health: healthSettings.describe("Active checks of the members. Default: none.").optional(),
  eject: checked(ejectSettings, findEjectConflicts)
    .describe("When a member that fails is left out for a time.")
    .prefault({}),
  attempts: count(1, 20)
    .describe("Members that one connection may try, within `timeouts.connect`, before the client is told.")
    .default(3),
  wait: duration({ zero: true })
    .describe("How long a request waits for a member when none can be used. Default: not at all.")
    .default("0s"),
  slowStart: duration({ zero: true })
    .describe("Time in which the share of a member that comes back grows from a twentieth to the whole.")
    .default("0s"),
});

export type PoolSettings = z.output<typeof poolSettings>;
export type MemberSettings = z.output<typeof memberSettings>;
type WrittenMember = PoolSettings["pool"][number];

/** The name of the upstream that a member is; undefined for one with a URL of its own. */
export function readReference(member: Parts<WrittenMember>): string | undefined {
  if (typeof member === "string") return isName(member) ? member : undefined;
  if (typeof member !== "object") return undefined;
  return typeof member.upstream === "string" ? member.upstream : undefined;
}

/** The name of a member in its pool; undefined when it cannot be read. */
export function nameMember(member: Parts<WrittenMember>): string | undefined {
  if (typeof member === "object" && typeof member.name === "string") return member.name;
  const reference = readReference(member);
  if (reference !== undefined) return reference;
  const url = typeof member === "object" ? member.url : member;
  const read = typeof url === "string" ? parseUpstreamUrl(url) : undefined;
  return read?.ok === true ? formatEndpoint(read.value.endpoint) : undefined;
}

/** Members of the same name. */
export function findPoolConflicts({ pool }: PartsOf<PoolSettings>): Problem[] {
  if (!Array.isArray(pool)) return [];
  const seen = new Set<string>();
  return pool.flatMap((member, at) => {
    const name = nameMember(member);
    if (name === undefined) return [];
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    const message = `Found the ${quoteNamed("member", name)} twice. Give each a "name" of its own.`;
    return [{ path: ["pool", at], message }];
  });
}

/** Pools that go by a session where no user name has one. `path` begins at the upstreams. */
export function findUnknownSessions(
  upstreams: Readonly<Record<string, unknown>>,
  parameters: readonly string[],
): Problem[] {
  if (parameters.includes(SESSION)) return [];
  const message = `There is no ${quoteNamed("parameter", SESSION)}. Add it to "auth.parameters".`;
  return Object.entries(upstreams).flatMap(([name, pool]) => {
    if (!isRecord(pool) || !("pool" in pool)) return [];
    const { sticky, hash } = pool;
    return [
      ...(isRecord(sticky) && sticky["by"] === SESSION ? [{ path: [name, "sticky", "by"], message }] : []),
      ...(hash === SESSION ? [{ path: [name, "hash"], message }] : []),
    ];
  });
}
