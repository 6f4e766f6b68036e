import { type FieldLookup, getOne } from "./fields.ts";
import type { RequestHead } from "./request-head.ts";

/** `missing_host` and `repeated_host`: RFC 9112 §3.2 asks for a 400 in both cases. */
export type HostFieldError = "missing_host" | "repeated_host";

/** The raw value, possibly empty; `none` only in HTTP/1.0. */
export type HostField =
  Exclude<FieldLookup, { readonly kind: "many" }> | { readonly kind: "bad"; readonly code: HostFieldError };

/** Finds the one Host field of a request (RFC 9112 §3.2). Its value is for `address/` to read. */
export function findHostField(head: Pick<RequestHead, "version" | "fields">): HostField {
  const host = getOne(head.fields, "host");
  if (host.kind === "many") return { kind: "bad", code: "repeated_host" };
  if (host.kind === "none" && head.version === "1.1") return { kind: "bad", code: "missing_host" };
  return host;
}
