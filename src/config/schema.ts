import { logSchema } from "./log.ts";
import type * as z from "zod";

import { approvalsSchema } from "./approvals-schema.ts";
import { findUnanswerable } from "./ask-rule.ts";
import { browserPacSchema } from "./browser-pac.ts";
import { dnsSchema } from "./dns.ts";
import { cidr, duration, flag, list, settings, size, text, word } from "./fields.ts";
import { forwardSchema } from "./forward.ts";
import { limitsSchema } from "./limits-schema.ts";
import {
  findOwnBinding,
  findPortConflicts,
  findUnguarded,
  hasCertifiedUsers,
  listenSchema,
} from "./listener-schema.ts";
import { listFetched, listNames, listsSchema } from "./lists-schema.ts";
import { checked, MALFORMED, type PartsOf, readWhole } from "./parts.ts";
import type { Problem } from "./problem.ts";
import type { KnownNames } from "./rule-field.ts";
import { findRuleConflicts, rulesSchema } from "./rule-schema.ts";
import { readSidecarPort, sidecarSchema } from "./sidecar.ts";
import { stateSchema } from "./state.ts";
import { findOwnCollector, telemetrySchema } from "./telemetry.ts";
import { findUnknownSessions } from "./pool-schema.ts";
import { upstreamSchema } from "./upstream-schema.ts";
import { upstreamsSchema } from "./upstreams-schema.ts";
import { authSchema, findParametersConflicts } from "./auth-schema.ts";
import { findExemptConflicts, listExemptNames } from "./exempt-schema.ts";
import { explainUnknownUsers, usersSchema } from "./users-schema.ts";
import { findUnknownPlaceholders } from "./user-template.ts";
import { USER_PLACEHOLDER } from "../proxy/route/user-template.ts";
import { defaultSchema, findDefaultConflicts } from "./way-schema.ts";

const timeoutsSchema = settings({
  handshake: duration({ zero: false })
    .describe("From accepting a connection to its complete request head, TLS and logins included.")
    .default("10s"),
  connect: duration({ zero: false })
    .describe("For resolving, connecting and the handshakes with all upstreams together.")
    .default("10s"),
  response: duration({ zero: true })
    .describe(
      'From a complete forwarded request to the head of its final response. Interim responses and a second try do not restart it; `"0"` for no limit.',
    )
    .default("60s"),
  idle: duration({ zero: true })
    .describe(
      'How long a tunnel or the body of a forwarded message may move no byte in either direction, or a client may leave a response unread. Every byte restarts it; `"0"` for no limit.',
    )
    .default("10m"),
  lameDuck: duration({ zero: true })
    .describe(
      'How long connections are still accepted and served after a signal to stop or `POST /drain`, while `/readyz` is 503 already, so that load balancers notice; `"0"` to stop accepting at once.',
    )
    .default("0"),
  drain: duration({ zero: true })
    .describe("How long tunnels may go on after accepting has stopped. Those that are left then are ended.")
    .default("10s"),
  handover: duration({ zero: true })
    .describe(
      "How long connections that cannot move to a new process, such as TLS tunnels and requests under way, may go on in the old one after a hand-over. Those that are left then are ended.",
    )
    .default("10m"),
  hook: duration({ zero: false }).describe("How long a function of this file may take to answer.").default("5s"),
  ask: duration({ zero: false })
    .describe("How long a connection waits for an operator when a rule asks. Without an answer it is refused with 403.")
    .default("60s"),
})
  .describe('Time limits: a number with `ms`, `s`, `m`, `h` or `d`, such as `"10s"`.')
  .prefault({});

const inspectSchema = settings({
  tls: flag()
    .describe(
      "Read the first bytes of tunnels and the clear part of TLS handshakes, for the access log, `/tunnels` and metrics. This changes, holds and decrypts nothing. Rules that look inside tunnels do so in any case.",
    )
    .default(true),
  ja3: flag().describe("Compute JA3 fingerprints beside JA4.").default(false),
})
  .describe("Inspection of tunnels.")
  .prefault({});

const sections = settings(
  {
    $schema: text("the address of a JSON Schema")
      .describe("The JSON Schema of this file (`penstock schema` prints it), for editors.")
      .optional(),
    listen: listenSchema,
    open: flag()
      .describe("Run without users beyond loopback: an open proxy. Everybody who reaches it can use it.")
      .default(false),
    users: usersSchema,
    auth: authSchema,
    upstream: upstreamSchema,
    upstreams: upstreamsSchema,
    lists: listsSchema,
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
    approvals: approvalsSchema,
    state: stateSchema,
    sidecar: sidecarSchema,
    pac: browserPacSchema,
    log: logSchema,
    telemetry: telemetrySchema,
    watch: flag()
      .describe(
        "Whether a change of this file, of a file that it imports or of a file that it names is a reload. Without it users files and certificates are followed alone. Lists are followed by themselves in any case.",
      )
      .default(false),
    reload: settings({
      endDenied: flag()
        .describe("End tunnels that the new rules or `clients` deny. By default tunnels go on.")
        .default(false),
    })
      .describe("What a reload does.")
      .prefault({}),
    sockets: word(["auto", "runtime"])
      .describe(
        "How plain TCP connections are driven. `auto`: an epoll event loop on Linux, at half the CPU; `runtime`: the sockets of the runtime.",
      )
      .default("auto"),
    splice: word(["auto", "off"])
      .describe("Whether the kernel moves the bytes of long tunnels (Linux). `auto`: where it can; `off`: never.")
      .default("auto"),
    spliceAfter: size(1, 1024 * 1024 * 1024)
      .describe(
        "Bytes in both directions together after which the kernel moves the bytes of a tunnel. Fewer cost more than they save.",
      )
      .default("128KiB"),
    warmUp: word(["auto", "off"])
      .describe(
        "Whether the proxy runs some tunnels over a socket pair in the background at start, until the first client comes, so that the engine has compiled their code. It stops at once when a client comes. With `off` the first thousand tunnels cost more than twice the CPU.",
      )
      .default("auto"),
  },
  "a map of settings, as defineConfig() takes it",
);

type Sections = z.output<typeof sections>;

/** The one schema of the configuration file: everything that can be set, with its unit, its default, and what contradicts it. */
export const configSchema = checked(sections, (config) => {
  const { listen, users, open, rules, sidecar, telemetry } = config;
  const known = findKnownNames(config);
  return [
    ...(users === undefined && open !== true ? findUnguarded(listen) : []),
    ...findParametersConflicts(users, config.auth),
    ...findExemptConflicts(config.auth === MALFORMED ? undefined : config.auth.exempt, {
      users,
      open,
      asks: users !== undefined,
    }),
    ...findRuleConflicts(rules, known),
    ...findUnanswerable(rules, config.default, sidecar !== undefined),
    ...findPlaceholderConflicts(config, known.parameters),
    ...findDefaultConflicts(config.default, known.upstreams, config.upstream !== undefined).map(
      ({ path, message }) => ({
        path: ["default", ...path],
        message,
      }),
    ),
    ...findPortConflicts(listen, readSidecarPort(sidecar)),
    ...findOwnCollector(telemetry, (address) => findOwnBinding(address, listen, readSidecarPort(sidecar))),
  ];
});

/** What upstreams want of user names that no request has. */
function findPlaceholderConflicts(
  { listen, users, upstreams }: PartsOf<Sections>,
  parameters: readonly string[] | undefined,
): Problem[] {
  if (parameters === undefined) return [];
  const known = users === undefined && !hasCertifiedUsers(listen) ? parameters : [USER_PLACEHOLDER, ...parameters];
  const sessions = upstreams === MALFORMED ? [] : findUnknownSessions(upstreams, parameters);
  return [...findUnknownPlaceholders(upstreams, known), ...sessions].map(({ path, message }) => ({
    path: ["upstreams", ...path],
    message,
  }));
}

/** The names that rules may use. */
function findKnownNames({ listen, users, auth, upstream, upstreams, lists }: PartsOf<Sections>): KnownNames {
  const ways = upstreams === MALFORMED ? undefined : Object.keys(upstreams);
  if (upstream !== undefined && upstream !== "environment") ways?.push("upstream");
  // Certificates name users that nothing else in the configuration names.
  const explainUser = hasCertifiedUsers(listen)
    ? () => undefined
    : explainUnknownUsers(users, listExemptNames(auth === MALFORMED ? undefined : auth.exempt));
  const parameters =
    auth === MALFORMED ? undefined : auth.parameters === undefined ? [] : readWhole<readonly string[]>(auth.parameters);
  return { upstreams: ways, explainUser, parameters, lists: listNames(lists), fetched: listFetched(lists) };
}

/** The configuration as an author writes it. */
export type PenstockConfig = z.input<typeof configSchema>;

/** The configuration with its defaults, its values as they were written. */
export type Config = z.output<typeof configSchema>;
