import type * as z from "zod";

import type { Limits, Quota, Rate, Share, UserShare } from "../proxy/limit/limits.ts";
import { bandwidth, count, duration, either, rate, settings, size, word } from "./fields.ts";
import type { Problem } from "./problem.ts";
import { formatDecimalSize, readBandwidth, readDuration, readRate, readSize } from "./quantity.ts";

/** Milliseconds of unused bandwidth that may be used at once, when `burst` does not say. So little that ten seconds are exact. */
const BANDWIDTH_BURST_MS = 100;

const connectionsOf = (whose: string) => count(0, 1_000_000).describe(`Connections at once ${whose}; 0 for no limit.`);

const rateOf = (whose: string) =>
  rate()
    .describe(
      `New tunnels and forwarded requests ${whose}: \`N/s\`, \`N/m\` or \`N/h\`. After a time without any, N may come at once (\`burst\` changes that). Default: no limit.`,
    )
    .optional();

/** Bandwidth in both directions, each the same or its own. */
export const bandwidthOf = (whose: string) => {
  const wanted = 'a bandwidth such as "20MB/s", or { up, down }';
  return either(wanted, [
    bandwidth(),
    settings(
      {
        up: bandwidth().describe("From clients to targets.").optional(),
        down: bandwidth().describe("From targets to clients.").optional(),
      },
      wanted,
    ),
  ])
    .describe(
      `Bytes for each second ${whose}, in each direction: \`"20MB/s"\`, \`"100Mbit/s"\`, or \`{ up, down }\`. Default: no limit.`,
    )
    .optional();
};

const burst = () =>
  duration({ zero: false })
    .describe(
      'How much of a rate or bandwidth that was not used may be used at once later, as a time: with `"2s"`, twice what a second has. Default: all of its span for a rate (`20/m`: 20), 100 ms for a bandwidth.',
    )
    .optional();

const quotaBytes = (span: string) =>
  // 2^53 is the largest exact count.
  size(1, 2 ** 53 - 1)
    .describe(`Bytes up and down together in a ${span}.`)
    .optional();

const quotaSchema = settings({ day: quotaBytes("day"), month: quotaBytes("month") })
  .describe("Quotas of bytes, which need `state`: they are kept across restarts. Default: none.")
  .optional();

const userFields = (whose: string) => ({
  rate: rateOf(whose),
  bandwidth: bandwidthOf(`${whose}, over all connections`),
  bytes: quotaSchema,
  burst: burst(),
});

/** The limits of one user in `users`. What is absent is as in `limits.perUser`. */
export const ownLimitsSchema = settings({
  connections: connectionsOf("for this user").optional(),
  ...userFields("for this user"),
})
  .describe("Limits for this user, each in place of the one in `limits.perUser`.")
  .optional();

const prefixSchema = settings({
  v4: count(8, 32).describe("Leading bits of an IPv4 address, from 8 to 32.").default(32),
  v6: count(16, 128)
    .describe("Leading bits of an IPv6 address, from 16 to 128. A provider gives a customer at least a /64.")
    .default(64),
})
  .describe("The part of an address that identifies a client in limits and other counts.")
  .prefault({});

export const limitsSchema = settings({
  connections: count(1, 1_000_000)
    .describe(
      "Client connections at once, over all listeners. Default: 10,000, or as many as the limit of open files allows where that is fewer.",
    )
    .optional(),
  rate: rateOf("over all listeners"),
  bandwidth: bandwidthOf("over all connections"),
  burst: burst(),
  perUser: settings({ connections: connectionsOf("for one user").default(0), ...userFields("for one user") })
    .describe("Limits for one user.")
    .prefault({}),
  perClient: settings({
    connections: connectionsOf("for one client").default(0),
    rate: rateOf("for one client"),
    bandwidth: bandwidthOf("for one client, over all its connections"),
    burst: burst(),
    prefix: prefixSchema,
  })
    .describe("Limits for one client: one IPv4 address, or one IPv6 network of 64 bits.")
    .prefault({}),
  perTarget: settings({
    connections: connectionsOf("to one target, a host and a port").default(0),
    rate: rateOf("to one target, a host and a port"),
    burst: burst(),
  })
    .describe("Limits for one target.")
    .prefault({}),
  onQuota: word(["finish", "end"])
    .describe("What happens to the tunnels of a user who reaches a quota: they go on to their end, or end at once.")
    .default("finish"),
  headBytes: size(1024, 1024 * 1024)
    .describe("Size of a request head, from 1 KiB to 1 MiB.")
    .default("32KiB"),
  headFields: count(1, 10_000).describe("Number of fields in a request head.").default(100),
})
  .describe("Limits on connections, rates, bandwidth and request heads.")
  .prefault({});

type WrittenLimits = z.output<typeof limitsSchema>;
/** With the connections that hold. */
type LimitsSettings = WrittenLimits & { readonly connections: number };
/** Limits of one user, as written. */
export type OwnLimits = Exclude<z.output<typeof ownLimitsSchema>, undefined>;
type Bandwidth = NonNullable<Share["bandwidth"]>;
type BandwidthSetting = z.output<ReturnType<typeof bandwidthOf>>;

/** Connections where the configuration says nothing. Fewer where the process may not open files for so many. */
const DEFAULT_CONNECTIONS = 10_000;

export function fillInConnections(limits: WrittenLimits): LimitsSettings {
  const { connections = DEFAULT_CONNECTIONS } = limits;
  return { ...limits, connections };
}

/** Compiles the limits. `own` has the limits of users that have limits of their own. */
export function compileLimits(
  limits: LimitsSettings,
  own: Iterable<readonly [name: string, limits: OwnLimits]>,
): Limits {
  const { perUser, perClient, perTarget } = limits;
  const users = new Map(
    Array.from(own, ([name, each]) => [
      name,
      compileUserShare({ ...perUser, ...each, connections: each.connections ?? perUser.connections }),
    ]),
  );
  const everyUser = compileUserShare(perUser);
  const inAll = compileShare(limits);
  const everyClient = compileShare(perClient);
  const rates = [inAll, everyUser, ...users.values(), everyClient, perTarget];
  return {
    inAll,
    perUser: everyUser,
    users,
    hasRequestLimits: perTarget.connections > 0 || rates.some((share) => share.rate !== undefined),
    hasQuotas: everyUser.quota !== undefined || users.values().some(({ quota }) => quota !== undefined),
    perClient: everyClient,
    perTarget: { connections: perTarget.connections, rate: compileRate(perTarget.rate, perTarget.burst) },
    onQuota: limits.onQuota,
    clientPrefix: perClient.prefix,
    head: { maxBytes: readSize(limits.headBytes), maxFields: limits.headFields },
  };
}

/** Settings of limits that change nothing. `own` as above. */
export function findIdleLimits(limits: LimitsSettings, own: readonly OwnLimits[], hasUsers: boolean): Problem[] {
  const { perUser, perClient, perTarget, onQuota } = limits;
  const problems: Problem[] = [];
  const tell = (path: Problem["path"], message: string): void =>
    void problems.push({ path: ["limits", ...path], message });
  const { connections, ...others } = perUser;
  if (!hasUsers && (connections > 0 || Object.values(others).some((value) => value !== undefined)))
    tell(["perUser"], 'There are no users, so it limits nobody. Set "users", or limit each address with "perClient".');
  const slow = ({ rate: written, bandwidth: bytes }: Partial<OwnLimits>) =>
    written !== undefined || bytes !== undefined;
  const shares: readonly (readonly [path: string[], share: Partial<OwnLimits>, users?: readonly OwnLimits[]])[] = [
    [[], { rate: limits.rate, bandwidth: limits.bandwidth, burst: limits.burst }],
    [["perUser"], perUser, own],
    [["perClient"], perClient],
    [["perTarget"], perTarget],
  ];
  for (const [path, share, users = []] of shares)
    if (share.burst !== undefined && ![share, ...users].some(slow))
      tell([...path, "burst"], 'It changes nothing: there is no "rate" or "bandwidth" beside it.');
  if (onQuota === "end" && ![perUser, ...own].some(({ bytes }) => compileQuota(bytes) !== undefined))
    tell(["onQuota"], 'It changes nothing: there is no quota ("bytes").');
  return problems;
}

type ShareSettings = Pick<LimitsSettings, "connections" | "rate" | "bandwidth" | "burst">;

function compileShare({ connections, rate: written, bandwidth: bytes, burst: time }: ShareSettings): Share {
  return { connections, rate: compileRate(written, time), bandwidth: compileBandwidth(bytes, time) };
}

function compileUserShare({ bytes, ...share }: LimitsSettings["perUser"]): UserShare {
  return { ...compileShare(share), quota: compileQuota(bytes) };
}

function compileRate(written: string | undefined, time: string | undefined): Rate | undefined {
  if (written === undefined) return undefined;
  const { count: most, spanMs } = readRate(written);
  const perSecond = (most * 1000) / spanMs;
  return { perSecond, burst: time === undefined ? most : Math.max(1, (perSecond * readDuration(time)) / 1000) };
}

/** Compiles a bandwidth; `time` is the burst as written. */
export function compileBandwidth(written: BandwidthSetting, time?: string): Bandwidth | undefined {
  if (written === undefined) return undefined;
  const { up, down } = typeof written === "string" ? { up: written, down: written } : written;
  const burstMs = time === undefined ? BANDWIDTH_BURST_MS : readDuration(time);
  return { up: compileBucket(up, burstMs), down: compileBucket(down, burstMs) };
}

function compileBucket(written: string | undefined, burstMs: number): Bandwidth["up"] {
  if (written === undefined) return undefined;
  const bytesPerSecond = readBandwidth(written);
  return { bytesPerSecond, burstBytes: (bytesPerSecond * burstMs) / 1000 };
}

function compileQuota(written: z.output<typeof quotaSchema>): Quota | undefined {
  if (written?.day === undefined && written?.month === undefined) return undefined;
  const read = (bytes: string | undefined) => (bytes === undefined ? undefined : readSize(bytes));
  return { day: read(written.day), month: read(written.month) };
}

/** Says a bandwidth for people: `20 MB/s`, or each direction. */
export function formatBandwidth({ up, down }: Bandwidth): string {
  const say = (limit: Bandwidth["up"]) =>
    limit === undefined ? "unlimited" : `${formatDecimalSize(limit.bytesPerSecond)}/s`;
  return say(up) === say(down) ? say(up) : `up ${say(up)}, down ${say(down)}`;
}
