import * as z from "zod";

import type { HookQuery } from "../proxy/policy/policy.ts";
import { choice, cidr, either, flag, hook, ipAddress, list, settings, text } from "./fields.ts";
import { insideFields } from "./inside-schema.ts";
import { findTargetFault } from "./target-fault.ts";

/** A way: `"direct"`, `"environment"`, the name of an upstream, or names in the order of a chain. */
export type Way = string | readonly string[];

/** What a rule that is a function answers; undefined passes on to the next rule. */
export type RuleVerdict = undefined | { deny: true } | { allow: true; allowPrivate?: boolean; via?: Way };

/** A rule that is a function. Throwing, or taking longer than `timeouts.hook`, denies. */
export type DecideTarget = (query: HookQuery) => RuleVerdict | Promise<RuleVerdict>;

/** Chooses the way for one connection. Throwing, or taking longer than `timeouts.hook`, denies. */
export type ChooseWay = (query: HookQuery) => Way | Promise<Way>;

const target = text('a target such as "*.example.org:443"', findTargetFault);

const upstreamName = () => text("the name of an upstream");

/** A way that a file can spell; functions apart. */
const wayForms = [upstreamName(), list(upstreamName(), "a list of names of upstreams")] as const;

const rule = settings({
  name: text("a name", (value) =>
    /^[\x21-\x7e][\x20-\x7e]{0,63}$/.test(value)
      ? undefined
      : "is not a name. Write up to 64 printable ASCII characters",
  )
    .describe("Name in logs and explanations. Default: `rule-1` and so on, by position.")
    .optional(),
  from: list(cidr(), "a list of client addresses or ranges")
    .describe("Client addresses or ranges. Default: all.")
    .optional(),
  users: list(text("a user name"), "a list of user names").describe("User names. Default: all.").optional(),
  to: list(target, "a list of targets")
    .describe(
      "Targets: `host`, `*.suffix` (every name below it), `*`, an IP address or a range, each alone or with `:port`, `:port-port` or `:port,port`. IPv6 is in brackets when a port follows. A range also holds the names that resolve into it. Default: all.",
    )
    .optional(),
  deny: flag().describe("Refuse with 403.").optional(),
  allow: flag().describe("Allow. The other verdicts but `deny` imply it.").optional(),
  allowPrivate: flag()
    .describe("Allow, and dial also private, loopback, link-local and other special-purpose addresses.")
    .optional(),
  via: either('"direct", the name of an upstream, a list of names or a function', [
    ...wayForms,
    hook<ChooseWay>('"direct", the name of an upstream, a list of names or a function'),
  ])
    .describe(
      'Allow, and go this way: `"direct"`, `"environment"`, the name of an upstream, a list of names (a chain, in order) or a function. Default: as `default` says.',
    )
    .optional(),
  tunnelHttp: flag()
    .describe(
      "Let plain HTTP requests through `http` and `https` upstreams go in tunnels, instead of letting the last upstream forward them. Default: false.",
    )
    .optional(),
  proxyProtocol: choice([1, 2])
    .describe(
      "Begin connections to targets that are dialled directly with a PROXY protocol header of this version, before everything else, that tells of the client. They have to expect that. Default: none.",
    )
    .optional(),
  sourceAddress: ipAddress().describe("Local IP address to connect from. Default: the system chooses.").optional(),
  ...insideFields,
});

const decideTarget = hook<DecideTarget>("a rule, or a function");

export const rulesSchema = either("a list of rules, or one function", [
  // An empty list is fine here: it is what is left when the last rule goes.
  z.array(either("a rule, or a function", [rule, decideTarget])),
  decideTarget,
])
  .describe(
    "Who may go where, and which way. The first rule that matches decides. A rule, or the whole list, may be a function.",
  )
  .default([]);

export const defaultSchema = either('"direct", "deny", the name of an upstream or a list of names', wayForms)
  .describe(
    'What holds when no rule matches: `"direct"`, `"deny"`, `"environment"`, the name of an upstream, or a list of names (a chain). Default: `"direct"`, or `upstream` where that is set.',
  )
  .optional();

export type RuleSettings = z.output<typeof rule>;
