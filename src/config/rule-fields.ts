import type * as z from "zod";

import { nameVersion } from "../protocol/tls/read/iana.ts";
import type { InsideProtocol } from "../proxy/policy/inside-demand.ts";
import type { HookQuery } from "../proxy/policy/policy.ts";
import { choice, either, flag, hook, ipAddress, list, readCidrs, settings, text, word } from "./fields.ts";
import { type CompiledField, type CompileMeans, field, type RuleField, type WrittenRule } from "./rule-field.ts";
import {
  fetchedPrivate,
  fetchedSecrets,
  findUnknownLists,
  hasFetched,
  type ListEntry,
  listOfEntries,
  nameSource,
  rangeForm,
} from "./lists-schema.ts";
import { findServerNameFault, readTarget, targetForm } from "./target-pattern.ts";
import { bandwidthOf, compileBandwidth, formatBandwidth } from "./limits-schema.ts";
import { compileParameters, findUnknownParameters, parameterConditions } from "./parameter-conditions.ts";
import { hoursField, untilField } from "./when-fields.ts";
import {
  compileRequestEdits,
  compileResponseEdits,
  findEditConflicts,
  hasSecrets,
  requestEdits,
  responseEdits,
} from "./request-edits.ts";
import {
  describeEch,
  describeServerNames,
  echDemand,
  findDemandConflict,
  fingerprint,
  versions,
} from "./tls-demand.ts";
import { askField } from "./ask-rule.ts";
import { ruleWebhook } from "./rule-webhook-schema.ts";
import { reportField } from "./report-mode.ts";
import { methodList, pathList } from "./request-lists.ts";
import { compileWay, findUnknownWays, type Way, wayForms } from "./way-schema.ts";
import type { AllowDecision } from "../proxy/policy/decision.ts";
import { ServerNames } from "../proxy/policy/target-set.ts";

/** Chooses the way for one connection. Throwing, or taking longer than `timeouts.hook`, denies. */
export type ChooseWay = (query: HookQuery) => Way | Promise<Way>;

const anyWay = '"direct", the name of an upstream, a list of names or a function';

const orLists = ", also from files (`{ file }`), URLs (`{ url }`) and named lists (`@name`).";

/** The fields of a rule, in the order of the documentation. */
export const ruleFields = {
  name: field({
    schema: text("a name", (value) =>
      /^[\x21-\x7e][\x20-\x7e]{0,63}$/.test(value)
        ? undefined
        : "is not a name. Write up to 64 printable ASCII characters",
    )
      .describe("Name in logs and explanations. Default: `rule-1` and so on, by position.")
      .optional(),
  }),
  from: field({
    schema: listOfEntries(
      'an address or a range such as "10.0.0.0/8"',
      "a list of client addresses or ranges",
      rangeForm,
    )
      .describe(`Client addresses or ranges${orLists} Default: all.`)
      .optional(),
    findConflicts: (from, _, { lists }) => findUnknownLists(from, lists),
    compile: (from, { read }) => compileEntries(read(from, "addresses"), (texts) => ({ from: readCidrs(texts) })),
  }),
  users: field({
    schema: listOfEntries("a user name", "a list of user names")
      .describe(`User names${orLists} Default: all.`)
      .optional(),
    findConflicts: (users, _, { explainUser, lists }) => [
      ...findUnknownLists(users, lists),
      ...(Array.isArray(users) ? users : []).flatMap((name: unknown, at) => {
        const message = typeof name === "string" && !name.startsWith("@") ? explainUser(name) : undefined;
        return message === undefined ? [] : { path: [at], message };
      }),
    ],
    compile: (users, { read }) => compileEntries(read(users, "users"), (texts) => ({ users: new Set(texts) })),
  }),
  parameters: field({
    schema: parameterConditions()
      .describe(
        'Parameters that the user name must have (`auth.parameters`), each with its values, in any case: `{ country: ["de", "at"] }`. `"*"` is any value. Default: any, and none.',
      )
      .optional(),
    findConflicts: (parameters, _, known) => findUnknownParameters(parameters, known.parameters),
    compile: (parameters) => ({ match: { parameters: compileParameters(parameters) } }),
  }),
  to: field({
    schema: listOfEntries('a target such as "*.example.org:443"', "a list of targets", targetForm)
      .describe(
        "Targets: `host`, `*.suffix` (every name below it), `*`, an IP address or a range, each alone or with `:port`, `:port-port` or `:port,port`. IPv6 is in brackets when a port follows. A range also holds the names that resolve into it. Or `{ file }` or `{ url }`, a list with one entry a line, and `@name`, a list of `lists`. Default: all.",
      )
      .optional(),
    findConflicts: (to, _, { lists }) => findUnknownLists(to, lists),
    // One target at a time: a list may have a million of them.
    compile: (to, { read }) =>
      compileEntries(read(to, "targets"), (texts) => ({
        to: { [Symbol.iterator]: () => Iterator.from(texts).map(readTarget) },
      })),
  }),
  hours: hoursField,
  until: untilField,
  methods: field({ schema: methodList, compile: (methods) => ({ match: { methods: new Set(methods) } }) }),
  paths: field({ schema: pathList, compile: (paths) => ({ match: { paths } }) }),
  deny: field({ schema: flag().describe("Refuse with 403.").optional() }),
  report: reportField,
  allow: field({
    schema: flag().describe("Allow. The other verdicts but `deny` imply it.").optional(),
    allows: true,
  }),
  ask: askField,
  allowPrivate: field({
    schema: flag()
      .describe("Allow, and dial also private, loopback, link-local and other special-purpose addresses.")
      .optional(),
    allows: true,
    findConflicts: (allowPrivate, { from, users, to }, { fetched }) =>
      allowPrivate === true && [from, users, to].some((entries) => hasFetched(entries, fetched))
        ? [fetchedPrivate]
        : [],
    compile: (allowPrivate) => ({ terms: { allowPrivate } }),
    explain: ({ allowPrivate }) => (allowPrivate ? "private addresses" : undefined),
  }),
  webhook: field({ schema: ruleWebhook, allows: true }),
  via: field({
    schema: either(anyWay, [...wayForms, hook<ChooseWay>("ChooseWay", anyWay)])
      .describe(
        'Allow, and go this way: `"direct"`, `"environment"`, the name of an upstream, a list of names (a chain, in order) or a function. Default: as `default` says.',
      )
      .optional(),
    allows: true,
    findConflicts: (via, _, { upstreams }) => findUnknownWays(via, upstreams),
    compile: (via) => ({
      terms: { via: typeof via === "function" ? async (query) => compileWay(await via(query)) : compileWay(via) },
    }),
  }),
  tunnelHttp: field({
    schema: flag()
      .describe(
        "Allow, and let plain HTTP requests through `http` and `https` upstreams go in tunnels, instead of letting the last upstream forward them. Default: false.",
      )
      .optional(),
    allows: true,
    compile: (tunnelHttp) => (tunnelHttp ? { terms: { tunnelHttp } } : {}),
    explain: ({ tunnelHttp }) => (tunnelHttp ? "tunnels for plain HTTP" : undefined),
  }),
  proxyProtocol: field({
    schema: choice([1, 2])
      .describe(
        "Allow, and begin connections to targets that are dialled directly with a PROXY protocol header of this version, before everything else, that names the client. The target must expect it. Default: none.",
      )
      .optional(),
    allows: true,
    findConflicts: (_, { via }) =>
      Array.isArray(via) || (typeof via === "string" && via !== "direct")
        ? [{ path: [], message: 'The rule goes through an upstream. Set "proxyProtocol" there, or leave "via" out.' }]
        : [],
    compile: (proxyProtocol) => ({ terms: { proxyProtocol } }),
    explain: ({ proxyProtocol }) =>
      proxyProtocol === undefined ? undefined : `a PROXY header of version ${proxyProtocol}`,
  }),
  sourceAddress: field({
    schema: ipAddress()
      .describe("Allow, and connect from this local IP address. Default: the system chooses.")
      .optional(),
    allows: true,
    compile: (sourceAddress) => ({ terms: { sourceAddress } }),
    explain: ({ sourceAddress }) => (sourceAddress === undefined ? undefined : `source address ${sourceAddress}`),
  }),
  protocols: field({
    schema: list(word(["tls", "http", "ssh", "smtp", "unknown"]), "a list of protocols")
      .describe(
        "Allow, but only what begins like one of these inside the tunnel. `unknown` is everything else, and a client that sends nothing. The client's first bytes are held back until the protocol is known, at most for `timeouts.handshake`; bytes of the target flow meanwhile. Forwarded requests count as `http`. Default: anything; with `sni`, `tls`, `ja4` or `ech`: `tls`.",
      )
      .optional(),
    allows: true,
    compile: (protocols) => ({ inside: { protocols: new Set<InsideProtocol>(protocols) } }),
    explain: ({ inside }) => inside && `only ${[...inside.protocols].join(", ")}`,
  }),
  bandwidth: field({
    schema: bandwidthOf("for all connections under this rule together").describe(
      'Allow, and share this bandwidth among all connections under the rule, in each direction: `"20MB/s"`, `"100Mbit/s"`, or `{ up, down }`. Default: no limit.',
    ),
    allows: true,
    compile: (bandwidth) => {
      const compiled = compileBandwidth(bandwidth);
      return compiled === undefined ? {} : { terms: { bandwidth: compiled } };
    },
    explain: ({ bandwidth }) => bandwidth && `bandwidth ${formatBandwidth(bandwidth)}`,
  }),
  request: field({
    schema: requestEdits,
    allows: true,
    findConflicts: (request, rule, { fetched }) => [
      ...findEditConflicts(request, rule),
      ...(hasSecrets(request) && hasFetched(rule["to"], fetched) ? [fetchedSecrets] : []),
    ],
    compile: (request, { materials }) => ({ terms: { request: compileRequestEdits(request, materials) } }),
    explain: ({ request }) => request && `forwarded requests with changes (${request.description})`,
  }),
  response: field({
    schema: responseEdits,
    allows: true,
    findConflicts: findEditConflicts,
    compile: (response) => ({ terms: { response: compileResponseEdits(response) } }),
    explain: ({ response }) => response && `responses with changes (${response.description})`,
  }),
  sni: field({
    schema: either('"match" or a list of names', [
      word(["match"]),
      listOfEntries('a name such as "*.example.org"', 'a list of names such as "*.example.org"', {
        findFault: findServerNameFault,
      }),
    ])
      .describe(
        'Allow, but inside TLS only with a server name (SNI): `"match"` for the very name that the tunnel is asked for, or a list of names, `*.suffix` (every name below it) and `*` (any), also from files (`{ file }`), URLs (`{ url }`) and named lists (`@name`). A ClientHello without SNI, or one that cannot be read, is refused. The rule judges before the ClientHello reaches the target; with Encrypted Client Hello it judges the outer one: see `ech`.',
      )
      .optional(),
    allows: true,
    findConflicts: (sni, rule, { lists }) => [...findDemandConflict(rule, "sni"), ...findUnknownLists(sni, lists)],
    compile: (sni, { read }) => {
      if (sni === "match") return { inside: { sni } };
      const names = Iterator.from(read(sni, "server names") ?? []).map(readTarget);
      return { inside: { sni: new ServerNames(sni.map(nameEntry), names) } };
    },
    explain: ({ inside }) => inside?.sni && `SNI ${describeServerNames(inside.sni)}`,
  }),
  tls: field({
    schema: settings({
      min: word(["1.0", "1.1", "1.2", "1.3"]).describe("The lowest version that client and server may agree on."),
    })
      .describe("Allow, but only TLS of a version. Clients that offer no such version are refused at once.")
      .optional(),
    allows: true,
    findConflicts: (_, rule) => findDemandConflict(rule, "tls"),
    compile: ({ min }) => ({ inside: { minVersion: versions[min] } }),
    explain: ({ inside }) =>
      inside?.minVersion === undefined ? undefined : `${nameVersion(inside.minVersion)} or later`,
  }),
  ja4: field({
    schema: list(fingerprint, "a list of JA4 fingerprints")
      .describe("Allow, but only TLS clients with one of these JA4 fingerprints.")
      .optional(),
    allows: true,
    findConflicts: (_, rule) => findDemandConflict(rule, "ja4"),
    compile: (ja4) => ({ inside: { ja4: new Set(ja4) } }),
    explain: ({ inside }) => inside?.ja4 && `JA4 ${[...inside.ja4].join(", ")}`,
  }),
  ech: field({
    schema: echDemand,
    allows: true,
    findConflicts: (_, rule) => findDemandConflict(rule, "ech"),
    compile: (ech) => ({ inside: { ech } }),
    explain: ({ inside }) => inside?.ech && describeEch(inside.ech),
  }),
};

export const ruleFieldList: readonly (readonly [name: string, field: RuleField<z.ZodType>])[] =
  Object.entries(ruleFields);

export function compileFields(
  rule: WrittenRule,
  means: CompileMeans,
): Required<Omit<CompiledField, "reports">> & Pick<CompiledField, "reports"> {
  const compiled = ruleFieldList.flatMap(([name, { compile }]) => {
    const value = rule[name];
    return value === undefined || compile === undefined ? [] : compile(value, means);
  });
  return {
    match: Object.assign({}, ...compiled.map(({ match }) => match)),
    when: Object.assign({}, ...compiled.map(({ when }) => when)),
    terms: Object.assign({}, ...compiled.map(({ terms }) => terms)),
    inside: Object.assign({}, ...compiled.map(({ inside }) => inside)),
    ...(compiled.some(({ reports }) => reports) && { reports: true as const }),
  };
}

/** Says for people what a decision allows beside its way; undefined for nothing: `private addresses; only tls; SNI as the target`. */
export function explainTerms(decision: AllowDecision): string | undefined {
  const texts = ruleFieldList.flatMap(([, { explain }]) => explain?.(decision) ?? []);
  return texts.length === 0 ? undefined : texts.join("; ");
}

/** What a rule looks at; nothing when it denies by a list without content. */
function compileEntries(
  texts: Iterable<string> | undefined,
  compile: (texts: Iterable<string>) => NonNullable<CompiledField["match"]>,
): CompiledField {
  return texts === undefined ? {} : { match: compile(texts) };
}

function nameEntry(entry: ListEntry): string {
  return typeof entry === "string" ? entry : nameSource(entry);
}
