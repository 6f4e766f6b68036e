/** What a configuration file gets from `import … from "penstock"`. */
export { defineConfig, env } from "./config/define.ts";
export type { EnvironmentReference } from "./config/define.ts";
export type { ChooseWay } from "./config/rule-fields.ts";
export type { DecideTarget, RuleVerdict } from "./config/rule-schema.ts";
export type { PenstockConfig } from "./config/schema.ts";
export type { VerifyUser } from "./config/users-schema.ts";
export type { Way } from "./config/way-schema.ts";
export type { HookQuery } from "./proxy/policy/policy.ts";
