import type * as z from "zod";

import type { AllowDecision } from "../proxy/policy/decision.ts";
import type { InsideDemand } from "../proxy/policy/inside-demand.ts";
import type { Rule } from "../proxy/policy/policy.ts";
import type { When } from "../proxy/policy/when.ts";
import type { ReadEntries } from "./list-reader.ts";
import type { Materials } from "./materials.ts";
import type { Problem } from "./problem.ts";

/** A rule as written. Parts of it may be malformed. */
export type WrittenRule = Readonly<Record<string, unknown>>;

/** Names in the rest of the configuration that a rule may use. */
export interface KnownNames {
  /** Names of all upstreams; undefined when they cannot be read. */
  readonly upstreams: readonly string[] | undefined;
  /** What is wrong with a user in a rule; undefined for nothing. */
  readonly explainUser: (name: string) => string | undefined;
  /** Names of the parameters of user names; undefined when they cannot be read. */
  readonly parameters: readonly string[] | undefined;
  /** Names of lists; undefined when they cannot be read. */
  readonly lists: readonly string[] | undefined;
  /** Those of them that are fetched. */
  readonly fetched: ReadonlySet<string>;
}

type AllowVerdict = Extract<Rule["verdict"], { kind: "allow" }>;

/** What one field adds to a rule. */
export interface CompiledField {
  /** What the rule looks at. */
  readonly match?: Pick<Rule, "from" | "users" | "parameters" | "to" | "methods" | "paths">;
  /** When it matches. */
  readonly when?: When;
  /** What the rule allows. */
  readonly terms?: Partial<AllowVerdict>;
  /** What it would refuse is only reported. */
  readonly reports?: true;
  /** What the first bytes inside a tunnel have to be. */
  readonly inside?: Partial<InsideDemand>;
}

/** What fields are compiled with. */
export interface CompileMeans {
  /** Gives the entries of lists. */
  readonly read: ReadEntries;
  /** Has secrets. */
  readonly materials: Materials;
}

/** Everything about one field of a rule. */
export interface RuleField<Schema extends z.ZodType> {
  /** The values; the description is the meaning in the documentation. */
  readonly schema: Schema;
  /** The field makes the rule allow: `deny` contradicts it. */
  readonly allows?: true;
  /** What contradicts it in the rule and in the names that the configuration knows. Paths begin at the field. */
  readonly findConflicts?: (value: unknown, rule: WrittenRule, known: KnownNames) => readonly Problem[];
  /** What a rule with this field does. */
  readonly compile?: (value: Exclude<z.output<Schema>, undefined>, means: CompileMeans) => CompiledField;
  /** How `penstock explain` words what it allows; undefined when it does not change the decision. */
  readonly explain?: (decision: AllowDecision) => string | undefined;
}

/** Infers the value that `compile` gets from the schema. */
export function field<Schema extends z.ZodType>(declared: RuleField<Schema>): RuleField<Schema> {
  return declared;
}
