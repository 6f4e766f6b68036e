import { resolve } from "node:path";

import { parseListenerAddress } from "./listener-address.ts";
import { formatPath, type Problem, quoteValue, writeSentence } from "./problem.ts";
import { isRecord, readRecord } from "./plain-data.ts";
import { suggest } from "./suggest.ts";
import { explainUrl } from "./target-pattern.ts";

type Raw = Readonly<Record<string, unknown>>;
type Variables = Readonly<Record<string, string | undefined>>;

/** What the command line sets. Each replaces the whole setting. */
export interface Flags {
  readonly listen?: readonly string[];
  readonly upstream?: string;
  /** `default`, as `--upstream` of `explain` sets it. */
  readonly way?: string;
  /** `NAME:PASSWORD`, each. */
  readonly user?: readonly string[];
  /** `HOST:PORT`, `PORT` or `unix:PATH`. */
  readonly sidecar?: string;
  /** Traces connections: `log.level` is `debug`. */
  readonly verbose?: boolean;
  /** Tells warnings and errors only: `log.level` is `warn`. */
  readonly quiet?: boolean;
}

export interface Overridden {
  /** The configuration as written, with the overrides. */
  readonly raw: unknown;
  /** Origin by formatted path: `"listen"` → `"--listen"`. */
  readonly origins: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
  /** Variables with our prefix that are not read. */
  readonly warnings: readonly Problem[];
}

/** How the text of a variable becomes a value. */
type Reading = "text" | "list" | "number" | "boolean" | "path" | "users" | "way";

/** Settings with an environment variable. Its name is the path in capitals: `limits.perUser.connections` is `PENSTOCK_LIMITS_PER_USER_CONNECTIONS`. */
const settings: readonly (readonly [path: string, reading: Reading])[] = [
  ["listen", "list"],
  ["open", "boolean"],
  ["users", "users"],
  ["users.file", "path"],
  ["auth.realm", "text"],
  ["auth.cacheTtl", "text"],
  ["upstream", "text"],
  ["default", "way"],
  ["clients", "list"],
  ["limits.connections", "number"],
  ["limits.perUser.connections", "number"],
  ["limits.perClient.connections", "number"],
  ["limits.headBytes", "text"],
  ["limits.headFields", "number"],
  ["timeouts.handshake", "text"],
  ["timeouts.connect", "text"],
  ["timeouts.response", "text"],
  ["timeouts.idle", "text"],
  ["timeouts.lameDuck", "text"],
  ["timeouts.drain", "text"],
  ["timeouts.handover", "text"],
  ["timeouts.hook", "text"],
  ["timeouts.ask", "text"],
  ["sidecar.port", "number"],
  ["sidecar.host", "text"],
  ["sidecar.unix", "path"],
  ["sidecar.token", "text"],
  ["log.access", "text"],
  ["log.level", "text"],
];

/** How each reading is written, for the reference. */
const notations: Readonly<Record<Reading, string>> = {
  text: "as in the file",
  list: "apart by commas",
  number: "as in the file",
  boolean: "`true` or `false`",
  path: "relative to the working folder",
  users: "`name:password`, apart by spaces",
  way: "as in the file; a chain apart by commas",
};

/** Lists the environment variables that override settings, for the reference. */
export function listOverridingVariables(): { name: string; path: string; notation: string }[] {
  return settings.map(([path, reading]) => ({ name: nameVariable(path), path, notation: notations[reading] }));
}

/**
 * Overrides the settings of a file: flags before environment before file. Pure.
 * Relative paths of variables and flags start at `folder`; `expected` are
 * variables with our prefix that the file itself asks for.
 */
export function applyOverrides(
  file: unknown,
  variables: Variables,
  flags: Flags,
  folder: string,
  expected: readonly string[] = [],
): Overridden {
  const environment = readVariables(variables, folder, expected);
  const commandLine = readFlags(flags, folder);
  const problems = [...environment.problems, ...commandLine.problems];
  const origins = new Map([...environment.origins, ...commandLine.origins]);
  const { warnings } = environment;
  if (!isRecord(file)) return { raw: file, origins, problems, warnings };
  const raw = overlay(overlay(file, environment.layer), commandLine.layer);
  const { sidecar, ...rest } = raw;
  if (!isTokenAlone(sidecar) || file["sidecar"] !== undefined) return { raw, origins, problems, warnings };
  // The token is also what "penstock capture" shows to a sidecar elsewhere.
  const message = "There is no sidecar that would ask for it.";
  return { raw: rest, origins, problems, warnings: [...warnings, { path: [], origin: TOKEN_VARIABLE, message }] };
}

/** Sets `sidecar.token`, and is what commands present to a sidecar. */
export const TOKEN_VARIABLE = "PENSTOCK_SIDECAR_TOKEN";

function isTokenAlone(sidecar: unknown): boolean {
  return isRecord(sidecar) && Object.keys(sidecar).join(",") === "token";
}

/**
 * Adds to each problem the flag or the variable that its value came from. Leaves
 * out problems that follow from one that could not be read.
 */
export function attachOrigins(
  problems: readonly Problem[],
  { origins, problems: told }: Pick<Overridden, "origins" | "problems">,
): Problem[] {
  return problems.flatMap((problem) => {
    for (let length = problem.path.length; length > 0; length--) {
      const origin = origins.get(formatPath(problem.path.slice(0, length)));
      if (origin === undefined) continue;
      return told.some((each) => each.origin === origin) ? [] : [{ ...problem, origin }];
    }
    return [problem];
  });
}

interface Layer {
  readonly layer: Raw;
  readonly origins: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** The variable that gives the path of the configuration file. */
export const CONFIG_VARIABLE = "PENSTOCK_CONFIG";

function readVariables(variables: Variables, folder: string, expected: readonly string[]): Layer {
  const paths = new Map(settings.map(([path, reading]) => [nameVariable(path), { path, reading }]));
  const origins = new Map<string, string>();
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  let layer: Raw = {};
  for (const [origin, text] of Object.entries(variables)) {
    if (!origin.startsWith(PREFIX) || text === undefined) continue;
    if (origin === CONFIG_VARIABLE || expected.includes(origin)) continue;
    const tell = (list: Problem[], message: string) => list.push({ path: [], origin, message });
    const setting = paths.get(origin);
    if (isServiceLink(origin, text)) {
      if (setting) tell(warnings, SERVICE_LINK);
    } else if (!setting) {
      const known = [...paths.keys(), CONFIG_VARIABLE].map((each) => each.slice(PREFIX.length));
      const hint = suggest(origin.slice(PREFIX.length), known).replace('"', `"${PREFIX}`);
      tell(warnings, `There is no such variable, so it is not read.${hint}`);
    } else if (text.trim() === "") {
      tell(problems, "Found an empty text. Write a value, or unset the variable.");
    } else {
      const value = readValue(text.trim(), setting.reading, folder);
      if (setting.reading === "users" && hasHalfUser(value))
        tell(problems, "It needs NAME:PASSWORD for each user, apart by spaces.");
      layer = setAt(layer, setting.path.split("."), value);
      origins.set(setting.path, origin);
    }
  }
  if (origins.has("users") && origins.has("users.file"))
    problems.push({
      path: [],
      origin: "PENSTOCK_USERS",
      message: "Found PENSTOCK_USERS_FILE as well. Set one of them.",
    });
  return { layer, origins, problems, warnings };
}

const SERVICE_LINK =
  'Kubernetes set it to the address of a service, so it is not read. "enableServiceLinks: false" leaves it out.';

/**
 * Whether Kubernetes or Docker set the variable for a service named "penstock",
 * or "penstock-" and something, of the same namespace.
 */
function isServiceLink(name: string, text: string): boolean {
  return (
    /_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(name) ||
    (name.endsWith("_PORT") && /^(?:tcp|udp|sctp):\/\//.test(text))
  );
}

function readFlags({ listen = [], upstream, way, user = [], sidecar, verbose, quiet }: Flags, folder: string): Layer {
  const layer: Record<string, unknown> = {};
  const origins = new Map<string, string>();
  const problems: Problem[] = [];
  const set = (setting: string, origin: string, value: unknown) => {
    if (value !== undefined) layer[setting] = value;
    origins.set(setting, origin);
  };
  if (listen.length > 0) set("listen", "--listen", listen);
  if (upstream !== undefined) set("upstream", "--upstream", upstream);
  if (way !== undefined) set("default", "--upstream", readValue(way, "way", folder));
  if (user.length > 0) {
    const users = user.map(readUser);
    set("users", "--user", users);
    if (hasHalfUser(users))
      problems.push({ path: [], origin: "--user", message: "It needs NAME:PASSWORD, as in --user=alice:s3cret." });
  }
  if (sidecar !== undefined) {
    const read = readSidecar(sidecar, folder);
    set("sidecar", "--sidecar", typeof read === "string" ? undefined : read);
    if (typeof read === "string") problems.push({ path: [], origin: "--sidecar", message: read });
  }
  const level = verbose === true ? "debug" : quiet === true ? "warn" : undefined;
  if (level !== undefined) {
    layer["log"] = { level };
    origins.set("log.level", verbose === true ? "--verbose" : "--quiet");
  }
  return { layer, origins, problems, warnings: [] };
}

/** The settings of a sidecar address, or what is wrong with it. */
function readSidecar(text: string, folder: string): Raw | string {
  if (text.startsWith("unix:")) return { unix: resolve(folder, text.slice("unix:".length)) };
  const parsed = parseListenerAddress(text);
  if (!parsed.ok) return writeSentence(quoteValue(text), explainUrl(text) ?? parsed.reason);
  const { host, port } = parsed.value;
  return { host, port };
}

/** Settings of one map that exclude each other: the one that is set last holds. */
const rivals: Readonly<Record<string, readonly string[]>> = {
  upstream: ["default"],
  default: ["upstream"],
  unix: ["port", "host"],
  port: ["unix"],
};

/** Lays `layer` over `below`: maps are merged, everything else is replaced. */
function overlay(below: Raw, layer: Raw): Raw {
  const gone = new Set(Object.keys(layer).flatMap((key) => rivals[key] ?? []));
  const merged = Object.fromEntries(Object.entries(below).filter(([key]) => !gone.has(key)));
  for (const [key, value] of Object.entries(layer))
    merged[key] = key !== "users" && isRecord(value) ? overlay(readRecord(merged[key]), value) : value;
  return merged;
}

function readValue(text: string, reading: Reading, folder: string): unknown {
  switch (reading) {
    case "text":
      return text;
    case "list":
      return splitList(text);
    case "number":
      return /^[0-9]+$/.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" || (text === "false" ? false : text);
    case "path":
      return resolve(folder, text);
    case "users":
      return text.split(/\s+/).map(readUser);
    case "way":
      return text.includes(",") ? splitList(text) : text;
  }
}

function splitList(text: string): string[] {
  return text.split(",").map((part) => part.trim());
}

/** Whether one of the users is a name or a password alone. */
function hasHalfUser(users: unknown): boolean {
  return Array.isArray(users) && users.some((user) => Object.keys(readRecord(user)).length === 0);
}

function readUser(text: string): Raw {
  const colon = text.indexOf(":");
  // Without a colon the text may be a password.
  if (colon < 0) return {};
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

function setAt(raw: Raw, path: readonly string[], value: unknown): Raw {
  const [key = "", ...rest] = path;
  return {
    ...raw,
    [key]: rest.length === 0 ? value : setAt(readRecord(raw[key]), rest, value),
  };
}

/** What the names of our variables begin with. */
const PREFIX = "PENSTOCK_";

function nameVariable(path: string): string {
  return `${PREFIX}${path.replace(/\./g, "_").replace(/[A-Z]/g, "_$&").toUpperCase()}`;
}
