import { type Binding, findPortConflicts } from "./find-port-conflicts.ts";
import { findSidecarConflicts } from "./find-sidecar-conflicts.ts";
import { findDefaultConflicts, findUnknownWays } from "./find-way-conflicts.ts";
import { formatListenerAddress, isLoopbackHost, parseListenerAddress } from "./listener-address.ts";
import { type Problem, quoteNamed, quoteValue } from "./problem.ts";
import { isRecord, readList, readRecord, readText } from "./raw.ts";
import { suggest } from "./suggest.ts";
import { parseUpstreamUrl } from "./upstream-url.ts";

/**
 * What the schema cannot see: settings that contradict each other or name what
 * is not there. Looks at the configuration as written and passes over what is
 * malformed, so that these problems are told together with the schema's.
 */
export function findConflicts(raw: unknown): Problem[] {
  const config = readRecord(raw);
  return [
    ...findListenConflicts(config),
    ...findUserConflicts(config),
    ...findUpstreamConflicts(config),
    ...findRuleConflicts(config),
    ...findDefaultConflicts(config),
    ...findSidecarConflicts(config),
    ...findPortConflicts(listBindings(config)),
  ];
}

/** Names with a meaning of their own; `upstream` is the one that the setting of that name makes. */
const reservedNames = ["direct", "deny", "environment", "upstream"];

type Raw = Readonly<Record<string, unknown>>;

function findListenConflicts(config: Raw): Problem[] {
  const problems: Problem[] = [];
  const guarded = config["users"] !== undefined || config["open"] === true;
  for (const [at, entry] of readList(config["listen"]).entries()) {
    const listener = readListener(entry);
    if (!listener) continue;
    const text = formatListenerAddress(listener);
    if (readTls(entry)["clientCertificate"] !== undefined && readClientCa(entry) === undefined)
      problems.push({
        path: ["listen", at, "tls", "clientCertificate"],
        message: 'Found no authority that clients could be asked about. Set "clientCa" too.',
      });
    if (guarded || requiresCertificate(entry)) continue;
    if (!isLoopbackHost(listener.host))
      problems.push({
        path: ["listen", at],
        message: `Cannot bind ${text}: the listener has no users. Set "users", or "open: true" to run an open proxy.`,
      });
    else if (readList(readRecord(entry)["proxyProtocol"]).length > 0)
      problems.push({
        path: ["listen", at],
        message: `Cannot bind ${text}: the listener has no users, and load balancers bring clients from beyond this machine to it ("proxyProtocol"). Set "users", or "open: true" to run an open proxy.`,
      });
  }
  return problems;
}

/** Whether every client has to show a certificate of an authority that is trusted. */
function requiresCertificate(entry: unknown): boolean {
  return readClientCa(entry) !== undefined && readTls(entry)["clientCertificate"] !== "optional";
}

function readClientCa(entry: unknown): unknown {
  return readTls(entry)["clientCa"];
}

function readTls(entry: unknown): Raw {
  return readRecord(readRecord(entry)["tls"]);
}

/** Every port that is to be bound. */
function listBindings(config: Raw): Binding[] {
  const listeners = readList(config["listen"]).flatMap((entry, at) => {
    const listener = readListener(entry);
    return listener ? [{ ...listener, path: ["listen", at] }] : [];
  });
  const { port, host = "127.0.0.1", unix } = readRecord(config["sidecar"]);
  const usable = typeof port === "number" && typeof host === "string" && unix === undefined;
  return usable ? [...listeners, { host, port, path: ["sidecar", "port"] }] : listeners;
}

function readListener(entry: unknown): { host: string; port: number } | undefined {
  if (typeof entry === "number") return { host: "127.0.0.1", port: entry };
  if (typeof entry === "string") {
    const parsed = parseListenerAddress(entry);
    return parsed.ok ? parsed.value : undefined;
  }
  if (!isRecord(entry)) return undefined;
  const { host = "127.0.0.1", port = 8080 } = entry;
  return typeof host === "string" && typeof port === "number" ? { host, port } : undefined;
}

function findUserConflicts(config: Raw): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [at, entry] of readList(config["users"]).entries()) {
    const name = readText(entry, "name");
    if (name === undefined) continue;
    if (seen.has(name))
      problems.push({
        path: ["users", at, "name"],
        message: `Found the ${quoteNamed("user", name)} twice. Write each user once.`,
      });
    seen.add(name);
  }
  return problems;
}

function findUpstreamConflicts(config: Raw): Problem[] {
  const problems: Problem[] = [];
  for (const [name, entry] of Object.entries(readRecord(config["upstreams"]))) {
    const path = ["upstreams", name];
    if (reservedNames.includes(name))
      problems.push({
        path,
        message: `The name ${quoteValue(name)} has a meaning of its own. Choose another one.`,
      });
    else if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
      problems.push({
        path,
        message: `The name of the upstream has other characters. Write up to 64 letters, digits, dots, hyphens or underscores.`,
      });
    if (!isRecord(entry)) continue;
    const url = readText(entry, "url");
    const parsed = url === undefined ? undefined : parseUpstreamUrl(url);
    if (!parsed?.ok) continue;
    const { kind, credentials } = parsed.value;
    for (const key of ["username", "password"])
      if (credentials && entry[key] !== undefined)
        problems.push({
          path: [...path, key],
          message: "Found credentials in the URL as well. Write them in one place.",
        });
    if (!credentials && entry["password"] !== undefined && entry["username"] === undefined)
      problems.push({
        path: [...path, "password"],
        message: 'Found a password without a user. Set "username" too.',
      });
    if (entry["auth"] !== undefined && kind !== "http" && kind !== "https")
      problems.push({
        path: [...path, "auth"],
        message: `The upstream is of kind ${kind}, which has no such choice. Write an "http://" or "https://" URL, or leave "auth" out.`,
      });
    else if (entry["auth"] !== undefined && !credentials && entry["username"] === undefined)
      problems.push({
        path: [...path, "auth"],
        message: 'Found a way to show credentials and none to show. Set "username" and "password" too.',
      });
    if (kind !== "https")
      for (const key of ["ca", "cert", "key", "serverName"])
        if (entry[key] !== undefined)
          problems.push({
            path: [...path, key],
            message: `The upstream is of kind ${kind}, without TLS. Write an "https://" URL, or leave ${quoteValue(key)} out.`,
          });
    if ((entry["cert"] === undefined) !== (entry["key"] === undefined))
      problems.push({
        path: [...path, entry["cert"] === undefined ? "key" : "cert"],
        message: 'Found only one of "cert" and "key". Set both.',
      });
  }
  return problems;
}

function findRuleConflicts(config: Raw): Problem[] {
  const problems: Problem[] = [];
  const names = new Set<string>();
  // Certificates of clients name users that nobody else knows.
  const certified = readList(config["listen"]).some((entry) => readClientCa(entry) !== undefined);
  const users = certified ? undefined : listUserNames(config["users"]);
  for (const [at, rule] of readList(config["rules"]).entries()) {
    if (!isRecord(rule)) continue;
    const path = ["rules", at];
    const name = readText(rule, "name") ?? `rule-${at + 1}`;
    if (names.has(name))
      problems.push({
        path,
        message: `Found the ${quoteNamed("rule", name)} twice. Give each rule a name of its own.`,
      });
    names.add(name);
    problems.push(...findVerdictConflicts(rule, path), ...findDemandConflicts(rule, path));
    problems.push(...findUnknownWays(config, rule["via"], [...path, "via"]));
    for (const [index, user] of readList(rule["users"]).entries()) {
      if (typeof user !== "string" || !users || users.has(user)) continue;
      problems.push({
        path: [...path, "users", index],
        message:
          config["users"] === undefined
            ? `There is no ${quoteNamed("user", user)}: nobody is asked for credentials. Set "users".`
            : `There is no ${quoteNamed("user", user)}.${problems.length < MAX_SUGGESTIONS ? suggest(user, users) : ""}`,
      });
    }
  }
  return problems;
}

/** A suggestion compares a name with every user. After this many problems the rest come without one. */
const MAX_SUGGESTIONS = 20;

/** What a rule may demand of TLS inside a tunnel. */
const tlsDemands = ["sni", "tls", "ja4"];

/** Demands on TLS where TLS may not be spoken. */
function findDemandConflicts(rule: Raw, path: PropertyKey[]): Problem[] {
  const protocols = readList(rule["protocols"]);
  if (rule["protocols"] === undefined || protocols.includes("tls")) return [];
  return tlsDemands
    .filter((key) => rule[key] !== undefined)
    .map((key) => ({
      path: [...path, key],
      message: `"protocols" does not have "tls". Add it, or leave out ${quoteValue(key)}.`,
    }));
}

function findVerdictConflicts(rule: Raw, path: PropertyKey[]): Problem[] {
  const allowing = [
    "allow",
    "allowPrivate",
    "via",
    "proxyProtocol",
    "sourceAddress",
    "protocols",
    ...tlsDemands,
  ].filter((key) => rule[key] !== undefined && rule[key] !== false);
  const { via, proxyProtocol } = rule;
  if (proxyProtocol !== undefined && (Array.isArray(via) || (typeof via === "string" && via !== "direct")))
    return [
      {
        path: [...path, "proxyProtocol"],
        message: 'The rule goes through an upstream. Set "proxyProtocol" there, or leave "via" out.',
      },
    ];
  if (rule["deny"] === true)
    return allowing.map((key) => ({
      path: [...path, key],
      message: `The rule denies. Leave out "deny" or ${quoteValue(key)}.`,
    }));
  return allowing.length > 0
    ? []
    : [
        {
          path,
          message: 'The rule does nothing. Set "deny", "allow", "allowPrivate" or "via".',
        },
      ];
}

/** Names that a rule may use; undefined when only a file or a function knows. */
function listUserNames(users: unknown): ReadonlySet<string> | undefined {
  if (users === undefined) return new Set();
  if (!Array.isArray(users)) return undefined;
  return new Set(users.flatMap((entry) => readText(entry, "name") ?? []));
}
