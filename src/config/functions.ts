/** The types of functions that a configuration in TypeScript or JavaScript may have, as authors see them. */
export type FunctionName = "VerifyUser" | "DecideTarget" | "ChooseWay" | "ChooseMember" | "NotifyOperator";

interface Described {
  readonly name: string;
  /** In TypeScript. */
  readonly type: string;
  readonly text: string;
}

export interface FunctionDoc {
  /** The settings that take it. */
  readonly settings: readonly string[];
  readonly text: string;
  readonly parameters: readonly Described[];
  /** What it answers, in TypeScript, without the promise of it. */
  readonly result: string;
  readonly resultText: string;
}

const query = (name: string, text: string): Described => ({ name: "query", type: name, text });

/** What is told of every function. */
export const functionTerms =
  "A function may be async. One that decides and throws, answers something else or takes longer than `timeouts.hook` refuses the request (`hook_failed`). It runs in the process of the proxy, where nobody else is served while it computes.";

export const functionDocs: Readonly<Record<FunctionName, FunctionDoc>> = {
  VerifyUser: {
    settings: ["users"],
    text: "Verifies a user.",
    parameters: [
      { name: "name", type: "string", text: "User name, without the parameters in it." },
      { name: "password", type: "string", text: "Password as the client sent it." },
      {
        name: "parameters",
        type: "UserParameters",
        text: "Parameters in the user name (`auth.parameters`), by name. Empty when there are none.",
      },
    ],
    result: "boolean",
    resultText: "`true` when the password is that of the user, `false` to refuse it.",
  },
  DecideTarget: {
    settings: ["rules", "rules[]"],
    text: "Decides whether a client may reach a target, and by which route. It takes the place of one rule, or of the whole list.",
    parameters: [query("HookQuery", "Who wants to reach what.")],
    result: "RuleVerdict",
    resultText:
      "`{ deny: true }`, `{ allow: true }` with `allowPrivate` and `via` where wanted, or `undefined` to leave it to the next rule.",
  },
  ChooseWay: {
    settings: ["rules[].via"],
    text: "Chooses the route of one connection.",
    parameters: [query("HookQuery", "Who wants to reach what.")],
    result: "Way",
    resultText: '`"direct"`, `"environment"`, the name of an upstream, or a list of names, which is a chain.',
  },
  ChooseMember: {
    settings: ["upstreams.NAME.balance"],
    text: "Chooses a member of a pool for one connection.",
    parameters: [query("PoolQuery", "The request, and the members of the pool.")],
    result: "string | undefined",
    resultText: "The name of a member, or `undefined` to leave it to `round-robin`.",
  },
  NotifyOperator: {
    settings: ["approvals.notify"],
    text: "Tells an operator that a rule with `ask` asks.",
    parameters: [{ name: "question", type: "AskedApproval", text: "Who wants to reach what." }],
    result: "unknown",
    resultText: "Nothing that is looked at. One that fails is reported, and the connection waits on.",
  },
};

export interface TypeDoc {
  readonly text: string;
  /** A type that is no map; `fields` is empty then. */
  readonly type?: string;
  readonly fields: readonly Described[];
}

const asker: readonly Described[] = [
  { name: "client", type: "string", text: "IP address of the client." },
  { name: "user", type: "string | undefined", text: "User, without parameters; `undefined` without credentials." },
  { name: "parameters", type: "UserParameters", text: "Parameters in the user name, by name." },
  {
    name: "host",
    type: "string",
    text: "Target as it is judged: a name in lower case and in A-labels, or an address.",
  },
  { name: "port", type: "number", text: "Port of the target." },
];

/** The types that functions take and give. */
export const typeDocs: Readonly<Record<string, TypeDoc>> = {
  HookQuery: { text: "What a rule that is a function, or `via`, is asked.", fields: asker },
  RuleVerdict: {
    text: "What a rule that is a function answers. `undefined` leaves it to the next rule.",
    type: "undefined | { deny: true } | { allow: true; allowPrivate?: boolean; via?: Way }",
    fields: [],
  },
  Way: {
    text: 'A route: `"direct"`, `"environment"`, the name of an upstream, or names in the order of a chain.',
    type: "string | readonly string[]",
    fields: [],
  },
  PoolQuery: {
    text: "What a function that chooses a member is told of a request.",
    fields: [
      { name: "pool", type: "string", text: "Name of the pool." },
      ...asker,
      { name: "members", type: "readonly MemberFacts[]", text: "All members, in the order of the configuration." },
    ],
  },
  MemberFacts: {
    text: "What a function that chooses a member is told of each.",
    fields: [
      { name: "name", type: "string", text: "Name of the member." },
      {
        name: "available",
        type: "boolean",
        text: "Whether it can be chosen: healthy, below its limit, and not tried for this request yet.",
      },
      { name: "health", type: "string", text: "Health, as `penstock upstreams` shows it." },
      { name: "backup", type: "boolean", text: "Whether it is a backup." },
      { name: "weight", type: "number", text: "Its `weight`." },
      { name: "connections", type: "number", text: "Connections through it now." },
      {
        name: "latencyMs",
        type: "number | undefined",
        text: "Milliseconds that a connection takes, a moving average; `undefined` when unknown.",
      },
    ],
  },
  AskedApproval: {
    text: "What is told of a question to the operator.",
    fields: [
      { name: "id", type: "string", text: "For `penstock approvals approve ID` and `POST /approvals/ID`." },
      ...asker.filter(({ name }) => name !== "parameters"),
      { name: "rule", type: "string", text: "The rule that asks." },
      { name: "asked_at", type: "string", text: "Time in ISO 8601." },
    ],
  },
  UserParameters: {
    text: "Parameters in a user name (`auth.parameters`), by name.",
    type: "Readonly<Record<string, string>>",
    fields: [],
  },
};

/** The signature of a function as one writes it: `(name: string) => boolean`. */
export function writeSignature({ parameters, result }: FunctionDoc): string {
  const written = parameters.map(({ name, type }) => `${name}: ${type}`).join(", ");
  return `(${written}) => ${result} | Promise<${result}>`;
}
