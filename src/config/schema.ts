import type * as z from "zod";

import { toAsciiHost } from "../address/host.ts";
import { dnsSchema } from "./dns.ts";
import { cidr, count, duration, flag, list, secret, settings, size, text, unquoted, word } from "./fields.ts";
import { forwardSchema } from "./forward.ts";
import { isLoopbackHost } from "./listener-address.ts";
import { bindableHost, findPortConflicts, findUnguarded, hasCertifiedUsers, listenSchema } from "./listener-schema.ts";
import { checked, MALFORMED, type Parts, type PartsOf } from "./parts.ts";
import { type Problem, quoteValue } from "./problem.ts";
import type { KnownNames } from "./rule-fields.ts";
import { findRuleConflicts, rulesSchema } from "./rule-schema.ts";
import { upstreamSchema, upstreamsSchema } from "./upstream-schema.ts";
import { authSchema, explainUnknownUsers, usersSchema } from "./users-schema.ts";
import { defaultSchema, findDefaultConflicts } from "./way-schema.ts";

const connectionsOf = (whose: string) =>
  count(0, 1_000_000).describe(`Connections at once for ${whose}; 0 for no limit.`).default(0);

const prefixSchema = settings({
  v4: count(8, 32).describe("Leading bits of an IPv4 address, from 8 to 32.").default(32),
  v6: count(16, 128)
    .describe("Leading bits of an IPv6 address, from 16 to 128. A provider gives a customer at least a /64.")
    .default(64),
})
  .describe("The part of a client's address that tells it from others, wherever something is counted by client.")
  .prefault({});

const limitsSchema = settings({
  connections: count(1, 1_000_000).describe("Client connections at once, over all listeners.").default(10_000),
  perUser: settings({ connections: connectionsOf("one user") })
    .describe("Limits for one user.")
    .prefault({}),
  perClient: settings({ connections: connectionsOf("one client"), prefix: prefixSchema })
    .describe("Limits for one client: one IPv4 address, or one IPv6 network of 64 bits.")
    .prefault({}),
  headBytes: size(1024, 1024 * 1024)
    .describe("Size of a request head, from 1 KiB to 1 MiB.")
    .default("32KiB"),
  headFields: count(1, 10_000).describe("Number of fields in a request head.").default(100),
})
  .describe("How much of what.")
  .prefault({});

const timeoutsSchema = settings({
  handshake: duration({ zero: false })
    .describe(
      "From accepting a connection to its complete request head, TLS and logins included, whatever comes meanwhile.",
    )
    .default("10s"),
  connect: duration({ zero: false })
    .describe("For resolving, connecting and the handshakes with all upstreams together.")
    .default("10s"),
  response: duration({ zero: true })
    .describe(
      'From a complete HTTP request to the head of its final response, when it is forwarded. Neither interim responses nor a second try start it again; `"0"` for ever.',
    )
    .default("60s"),
  idle: duration({ zero: true })
    .describe(
      'How long a tunnel, or the body of a forwarded message, may be without a byte in either direction, or a client may leave a response unread. Every byte starts it again, so it is no limit on the whole; `"0"` for ever.',
    )
    .default("10m"),
  drain: duration({ zero: true })
    .describe("How long tunnels may go on after the program is told to stop.")
    .default("10s"),
  hook: duration({ zero: false }).describe("How long a function of this file may take to answer.").default("5s"),
})
  .describe('How long. Durations are a number with `ms`, `s`, `m`, `h` or `d`, such as `"10s"`.')
  .prefault({});

const inspectSchema = settings({
  tls: flag()
    .describe(
      "Read the first bytes of tunnels, and TLS handshakes as far as they are in clear, for the access log, `/tunnels` and metrics. Nothing is changed, held or decrypted. Rules that look inside do so in any case.",
    )
    .default(true),
  ja3: flag().describe("Compute JA3 fingerprints beside JA4.").default(false),
})
  .describe("What is looked at inside tunnels.")
  .prefault({});

const hostName = () =>
  text('a name such as "penstock.example"', (value) =>
    toAsciiHost(value).ok
      ? undefined
      : 'is not the name of a host. Write one such as "penstock.example", without a port',
  );

const sidecarFields = {
  port: count(0, 65535).describe("TCP port; 0 lets the system choose a free one. Either this or `unix`.").optional(),
  host: bindableHost()
    .describe("IP address to bind, or `localhost`. Beyond loopback it needs `token`. Default: `127.0.0.1`.")
    .optional(),
  unix: text("the path of a socket")
    .describe("Path of a Unix socket, relative to the configuration file. Either this or `port`.")
    .optional(),
  allowedHosts: list(hostName(), 'a list of names such as ["penstock.example"]')
    .describe(
      "Names by which the sidecar may be asked (the Host field), beside addresses, `localhost` and the name of the machine. Health is answered under any name.",
    )
    .optional(),
  token: secret().describe("Bearer token for everything beyond health. Without one only health is served.").optional(),
};

const sidecarSettings = settings(sidecarFields, "a map such as { port: 9080 }", unquoted);

const sidecarSchema = checked(sidecarSettings, ({ host, port, unix, token }) => {
  const problems: Problem[] = [];
  const tell = (path: PropertyKey[], message: string) => problems.push({ path, message });
  if (port === undefined && unix === undefined)
    tell([], 'Neither "port" nor "unix" is set. Write "port: 9080", or the path of a socket in "unix".');
  else if (port !== undefined && unix !== undefined) tell([], 'Both "port" and "unix" are set. Leave one of them out.');
  if (host === undefined || host === MALFORMED) return problems;
  if (unix !== undefined) tell(["host"], 'A Unix socket has no host. Leave out "host" or "unix".');
  else if (!isLoopbackHost(host) && token === undefined)
    tell(
      ["host"],
      `Cannot bind ${quoteValue(host)}: the sidecar has no token. Set "sidecar.token", or bind it to 127.0.0.1.`,
    );
  return problems;
})
  .describe("Health, metrics, configuration and live tunnels over HTTP. Off unless set.")
  .optional();

const logSchema = settings({
  access: word(["json", "text", "off"])
    .describe("Form of the line for each connection. Default: `text` on a terminal, else `json`.")
    .optional(),
})
  .describe("What is written to standard output.")
  .prefault({});

const sections = settings(
  {
    $schema: text("the address of a JSON Schema")
      .describe("The JSON Schema of this file (`penstock schema` prints it), for editors.")
      .optional(),
    listen: listenSchema,
    open: flag()
      .describe("Run without users beyond loopback: an open proxy. Anybody who reaches it can use it.")
      .default(false),
    users: usersSchema,
    auth: authSchema,
    upstream: upstreamSchema,
    upstreams: upstreamsSchema,
    rules: rulesSchema,
    default: defaultSchema,
    forward: forwardSchema,
    inspect: inspectSchema,
    clients: list(cidr(), "a list of client addresses or ranges")
      .describe("Client addresses or ranges that may connect at all. Default: all.")
      .optional(),
    dns: dnsSchema,
    limits: limitsSchema,
    timeouts: timeoutsSchema,
    sidecar: sidecarSchema,
    log: logSchema,
    sockets: word(["auto", "runtime"])
      .describe(
        "Who drives connections in clear: `auto` an event loop over epoll where the system has it (Linux), which costs about half, `runtime` always the runtime's own.",
      )
      .default("auto"),
    splice: word(["auto", "off"])
      .describe(
        "Whether the kernel carries long tunnels (Linux): `auto` where it can, `off` to keep every byte in the program.",
      )
      .default("auto"),
    spliceAfter: size(1, 1024 * 1024 * 1024)
      .describe(
        "Bytes, both ways together, that a tunnel has moved before the kernel carries it: about as many as the move costs.",
      )
      .default("128KiB"),
    warmUp: word(["auto", "off"])
      .describe(
        "Whether the proxy runs some tunnels over a socket pair in the background at start, before the first client comes, so that the first clients meet compiled code. It stops at once when a client comes. `off`: the first thousand tunnels cost more than twice the CPU.",
      )
      .default("auto"),
  },
  "a map of settings, as defineConfig() takes it",
);

type Sections = z.output<typeof sections>;

/** The one schema of the configuration file: everything that can be set, with its unit, its default, and what contradicts it. */
export const configSchema = checked(sections, (config) => {
  const { listen, users, open, rules, sidecar } = config;
  const known = findKnownNames(config);
  return [
    ...(users === undefined && open !== true ? findUnguarded(listen) : []),
    ...findRuleConflicts(rules, known),
    ...findDefaultConflicts(config.default, known.upstreams, config.upstream !== undefined).map(
      ({ path, message }) => ({
        path: ["default", ...path],
        message,
      }),
    ),
    ...findPortConflicts(listen, readSidecarPort(sidecar)),
  ];
});

/** What the sidecar binds, if it is a port. */
function readSidecarPort(sidecar: Parts<Sections["sidecar"]>) {
  if (sidecar === undefined || sidecar === MALFORMED) return undefined;
  const { port, host = "127.0.0.1", unix } = sidecar;
  if (typeof port !== "number" || host === MALFORMED || unix !== undefined) return undefined;
  return { host, port, path: ["sidecar", "port"] };
}

/** The names that rules may use, and what to say of others. */
function findKnownNames({ listen, users, upstream, upstreams }: PartsOf<Sections>): KnownNames {
  const ways = upstreams === MALFORMED ? undefined : Object.keys(upstreams);
  if (upstream !== undefined && upstream !== "environment") ways?.push("upstream");
  // Certificates name users that nothing else in the configuration names.
  const explainUser = hasCertifiedUsers(listen) ? () => undefined : explainUnknownUsers(users);
  return { upstreams: ways, explainUser };
}

/** The configuration as an author writes it. */
export type PenstockConfig = z.input<typeof configSchema>;

/** The configuration with its defaults, its values as they were written. */
export type Config = z.output<typeof configSchema>;
