import type { Secret } from "../../secret.ts";

/** The server that proxies share their counts through. */
export interface RedisPlan {
  readonly host: string;
  readonly port: number;
  /** `host:port`, for messages. */
  readonly name: string;
  readonly database: number;
  /** PEM texts of the only roots to trust, or those of the program; absent for clear text. */
  readonly tls?: { readonly ca: readonly string[] | undefined };
  /** Of the ACL of Redis; absent for its default user. */
  readonly user?: string;
  readonly password?: Secret;
  /** What the name of each key begins with. */
  readonly prefix: string;
}

/** Where a client of Bun connects to. It has the password. */
export function writeRedisUrl({ host, port, database, tls, user = "", password }: RedisPlan): string {
  const login = password === undefined ? "" : `${encodeURIComponent(user)}:${encodeURIComponent(password.reveal())}@`;
  const authority = host.includes(":") ? `[${host}]` : host;
  return `${tls === undefined ? "redis" : "rediss"}://${login}${authority}:${port}/${database}`;
}

/** Whether two plans lead to the same keys in the same way. */
export function isSameRedis(one: RedisPlan, other: RedisPlan): boolean {
  return (
    writeRedisUrl(one) === writeRedisUrl(other) &&
    one.prefix === other.prefix &&
    JSON.stringify(one.tls?.ca) === JSON.stringify(other.tls?.ca)
  );
}
