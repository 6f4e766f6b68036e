import { describeEndpointError, type Endpoint, formatEndpoint, parseHostField } from "../address/endpoint.ts";
import { Secret } from "../secret.ts";
import type { RedisPlan } from "../state/redis/redis-plan.ts";
import { parsed, pemPaths, secret, type SecretSource, text } from "./fields.ts";
import { isLoopbackHost } from "./listener-address.ts";
import type { Materials } from "./materials.ts";
import { MALFORMED, type PartsOf } from "./parts.ts";
import { findAuthorityFaults, listPaths } from "./pem.ts";
import { readList, readRecord } from "./plain-data.ts";
import { type Problem, type Read, readAccepted, refuse } from "./problem.ts";
import { findSecret } from "./secrets.ts";

const PREFIX = "penstock:";
const PORT = 6379;
const MAX_PREFIX = 64;

const EXAMPLE = '"rediss://redis.example:6379/0"';

/** The settings of `state` that are about Redis. */
export const redisFields = {
  redis: parsed(`the address of a Redis server, such as ${EXAMPLE}`, parseRedisUrl, undefined, () => "The address")
    .describe(
      "Redis server through which several proxies share quotas, rates, connection counts and sticky sessions: `rediss://[user[:password]@]host[:port][/database]`, or `redis://` without TLS. One server, not a cluster. Nobody waits for it: while it cannot be used, each proxy goes on with its share. Default: none.",
    )
    .optional(),
  password: secret().describe("Password for `redis`, in place of one in the address.").optional(),
  prefix: text('a text such as "penstock:"', findPrefixFault)
    .describe(
      'What the names of all keys in Redis begin with. Proxies share what they have the same prefix for. Default: `"penstock:"`.',
    )
    .optional(),
  ca: pemPaths()
    .describe(
      "PEM file, or files, with the certificate authorities to trust for `rediss://`. Default: the ones that come with the program.",
    )
    .optional(),
};

interface RedisSettings {
  readonly redis?: string | undefined;
  readonly password?: SecretSource | undefined;
  readonly prefix?: string | undefined;
  readonly ca?: string | readonly string[] | undefined;
}

function findPrefixFault(prefix: string): string | undefined {
  if (prefix.length > MAX_PREFIX) return `is too long. Write at most ${MAX_PREFIX} characters`;
  return /^[!-~]+$/.test(prefix)
    ? undefined
    : "has characters that make keys hard to read. Write letters, digits and punctuation";
}

/** Settings that mean nothing without others, or contradict them. */
export function findRedisConflicts({ redis, password, prefix, ca }: PartsOf<RedisSettings>): Problem[] {
  if (redis === MALFORMED) return [];
  if (redis === undefined)
    return Object.entries({ password, prefix, ca }).flatMap(([name, value]) =>
      value === undefined ? [] : [{ path: [name], message: `"${name}" is for a Redis server. Set "redis" too.` }],
    );
  const url = readAccepted(parseRedisUrl(redis));
  return [
    ...(ca !== undefined && !url.isSecure
      ? [{ path: ["ca"], message: 'There is no TLS to check. Write "rediss://" in "redis", or leave "ca" out.' }]
      : []),
    ...(password !== undefined && url.password !== undefined
      ? [{ path: ["password"], message: 'The address in "redis" has a password already. Leave one of them out.' }]
      : []),
  ];
}

/** A limit that each proxy has for itself, although Redis shares the others. */
export function findUnshared({
  state,
  limits,
  users,
  rules,
}: {
  readonly state: Pick<RedisSettings, "redis">;
  readonly limits: unknown;
  readonly users?: unknown;
  readonly rules?: unknown;
}): Problem[] {
  if (state.redis === undefined) return [];
  const { perUser, perClient } = readRecord(limits);
  const places: readonly (readonly [path: Problem["path"], holder: unknown])[] = [
    [["limits"], limits],
    [["limits", "perUser"], perUser],
    [["limits", "perClient"], perClient],
    ...readList(users).map((user, at) => [["users", at, "limits"], readRecord(user)["limits"]] as const),
    ...readList(rules).map((rule, at) => [["rules", at], rule] as const),
  ];
  const found = places.find(([, holder]) => readRecord(holder)["bandwidth"] !== undefined);
  if (found === undefined) return [];
  const message = "Bandwidth is not shared through Redis: each proxy allows the whole of it.";
  return [{ path: [...found[0], "bandwidth"], message }];
}

/** What only the files show to be wrong. */
export function findRedisProblems({ ca }: RedisSettings, { files }: Pick<Materials, "files">): Problem[] {
  return ca === undefined ? [] : findAuthorityFaults(ca, ["state", "ca"], files);
}

/** The server that proxies share through, and what the operator should know of it. */
export function compileRedis(
  { redis, password, prefix = PREFIX, ca }: RedisSettings,
  materials: Materials,
): { readonly redis: RedisPlan | undefined; readonly warnings: readonly Problem[] } {
  if (redis === undefined) return { redis: undefined, warnings: [] };
  const { endpoint, isSecure, database, user, password: written } = readAccepted(parseRedisUrl(redis));
  const known = written === undefined ? findSecret(password, materials) : new Secret(written);
  const { host, port } = endpoint;
  const isOpen = !isSecure && !isLoopbackHost(host.text);
  return {
    redis: {
      host: host.text,
      port,
      name: formatEndpoint(endpoint),
      database,
      prefix,
      ...(isSecure && {
        tls: { ca: ca === undefined ? undefined : listPaths(ca).map((path) => materials.files.get(path) ?? "") },
      }),
      ...(user !== undefined && { user }),
      ...(known && { password: known }),
    },
    warnings: isOpen
      ? [
          {
            path: ["state", "redis"],
            message:
              'Redis is used without TLS: whoever is on the way can read names of users and change their counts. Write "rediss://".',
          },
        ]
      : [],
  };
}

interface RedisUrl {
  readonly endpoint: Endpoint;
  readonly isSecure: boolean;
  readonly database: number;
  /** Percent-decoded. */
  readonly user?: string;
  readonly password?: string;
}

/** Reads `redis[s]://[user[:password]@]host[:port][/database]`. Messages do not repeat it: it may have a password. */
function parseRedisUrl(written: string): Read<RedisUrl> {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(?:(.*)@)?([^@/?#]*)(?:\/([^/?#]*))?$/is.exec(written);
  const [, scheme = "", login, authority = "", database = ""] = match ?? [];
  if (match === null)
    return refuse(
      `cannot be read. Write one such as ${EXAMPLE}, and percent-encode what is not a letter or a digit in a password`,
    );
  if (!/^rediss?$/i.test(scheme))
    return refuse(`begins with another scheme. Write "rediss://", or "redis://" without TLS`);
  if (!/^[0-9]{0,5}$/.test(database)) return refuse(`names a database that is no number. Write one as in ${EXAMPLE}`);
  const parsedHost = parseHostField(authority, PORT);
  if (!parsedHost.ok) return refuse(`names no server: ${describeEndpointError(parsedHost.code)}`);
  const userinfo = login === undefined ? {} : parseLogin(login);
  if (userinfo === undefined)
    return refuse(
      'has credentials that cannot be read. Write "user:password@" with @, /, #, ?, : and % percent-encoded',
    );
  return {
    ok: true,
    value: {
      endpoint: parsedHost.endpoint,
      isSecure: /^rediss$/i.test(scheme),
      database: Number(database),
      ...userinfo,
    },
  };
}

function parseLogin(login: string): Pick<RedisUrl, "user" | "password"> | undefined {
  const colon = login.indexOf(":");
  try {
    const user = decodeURIComponent(colon < 0 ? login : login.slice(0, colon));
    const password = colon < 0 ? "" : decodeURIComponent(login.slice(colon + 1));
    if (/[@\s\p{Cc}]/u.test(login)) return undefined;
    return { ...(user !== "" && { user }), ...(password !== "" && { password }) };
  } catch {
    return undefined;
  }
}
