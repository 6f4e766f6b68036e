/** What a configuration file gets from `import … from "penstock"`. */

import type { PenstockConfig } from "./config/schema.ts";

export type { AskedApproval, NotifyOperator } from "./config/approvals-schema.ts";
export type { ChooseWay } from "./config/rule-fields.ts";
export type { DecideTarget, RuleVerdict } from "./config/rule-schema.ts";
export type { PenstockConfig } from "./config/schema.ts";
export type { VerifyUser } from "./config/users-schema.ts";
export type { Way } from "./config/way-schema.ts";
export type { HookQuery } from "./proxy/policy/policy.ts";
export type { ChooseMember, MemberFacts, PoolQuery } from "./proxy/route/pool-plan.ts";

/** A secret that an environment variable holds. */
export interface EnvironmentReference {
  /** Name of the variable. */
  env: string;
}

/** Gives the configuration back: it is there for the editor, which then knows every setting. */
export function defineConfig(config: PenstockConfig): PenstockConfig {
  return config;
}

/**
 * A secret that is in the environment variable `name` when the proxy starts. A
 * variable that is missing is a configuration error that names the setting.
 */
export function env(name: string): EnvironmentReference {
  return { env: name };
}
