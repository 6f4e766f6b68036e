/** Why Redis cannot be used. Each is a label of `penstock_redis_failures_total`. */
export const FAULT_KINDS = [
  "unreachable",
  "slow",
  "login",
  "database",
  "read_only",
  "full",
  "wrong_type",
  "not_permitted",
  "cluster",
  "loading",
  "error",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface RedisFault {
  readonly kind: FaultKind;
  /** Continues a sentence that begins with the server: `is full`. Without passwords. */
  readonly why: string;
}

/** Characters of a message of Redis that are shown. */
const MAX_SHOWN = 200;

/** What an error answer of Redis means for the operator. The first word says its kind. */
export function readFault(message: string): RedisFault {
  const [word = ""] = message.split(" ", 1);
  if (/DB index is out of range/.test(message))
    return { kind: "database", why: 'does not have the database that "state.redis" names after its port' };
  const known = faults[word];
  if (known !== undefined && Object.hasOwn(faults, word)) return known;
  if (word === "NOPERM") return { kind: "not_permitted", why: notPermitted(message) };
  return { kind: "error", why: `answered: ${clean(message)}` };
}

const faults: Readonly<Record<string, RedisFault>> = {
  OOM: { kind: "full", why: 'is full: its "maxmemory" is reached' },
  READONLY: {
    kind: "read_only",
    why: 'is a replica that cannot be written to. Set "state.redis" to its primary',
  },
  MISCONF: {
    kind: "read_only",
    why: "refuses writes because it cannot save to its disk (its own log says why)",
  },
  NOREPLICAS: { kind: "read_only", why: 'refuses writes because too few replicas follow it ("min-replicas-to-write")' },
  MASTERDOWN: {
    kind: "read_only",
    why: 'is a replica that has lost its primary. Set "state.redis" to the primary',
  },
  NOAUTH: { kind: "login", why: 'wants a password. Set "state.password"' },
  WRONGPASS: {
    kind: "login",
    why: 'refuses the user of "state.redis" or the password of "state.password"',
  },
  LOADING: { kind: "loading", why: "is starting: it reads its data" },
  BUSY: { kind: "slow", why: "is busy with a script of somebody else" },
  MOVED: { kind: "cluster", why: 'is part of a Redis Cluster. Set "state.redis" to a single server' },
  CROSSSLOT: { kind: "cluster", why: 'is part of a Redis Cluster. Set "state.redis" to a single server' },
  CLUSTERDOWN: { kind: "cluster", why: 'is part of a Redis Cluster. Set "state.redis" to a single server' },
  WRONGTYPE: {
    kind: "wrong_type",
    why: 'has keys of another program under the prefix of "state.prefix". Choose another prefix',
  },
};

function notPermitted(message: string): string {
  return `does not permit what is needed (${clean(message)}). See docs/limits.md for its ACL`;
}

/** A message of the server in one line, without control characters. */
function clean(message: string): string {
  return message.replaceAll(/\p{C}/gu, " ").slice(0, MAX_SHOWN);
}
