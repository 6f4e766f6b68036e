import type { PenstockConfig } from "./schema.ts";

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
