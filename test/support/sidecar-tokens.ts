import { Secret } from "../../src/secret.ts";
import type { Permission, SidecarToken } from "../../src/sidecar/guard.ts";

/** The tokens of a sidecar with a single one, which may do everything. */
export function grantAll(token: string): readonly SidecarToken[] {
  return [{ token: new Secret(token), may: new Set(["read", "operate", "capture"]) }];
}

/** A token that may do some things; its name is the token itself. */
export function grant(token: string, ...may: readonly Permission[]): SidecarToken {
  return { name: token, token: new Secret(token), may: new Set(may) };
}
