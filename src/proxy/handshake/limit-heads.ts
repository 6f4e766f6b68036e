import type { HeadLimits } from "../../protocol/http1/head-parser.ts";
import type { Limits } from "../runtime.ts";

/** Made once for a configuration, and not for each connection. */
const known = new WeakMap<Limits, HeadLimits>();

/** How large the head of a request may be. */
export function limitHeads(limits: Limits): HeadLimits {
  let heads = known.get(limits);
  if (heads === undefined) {
    heads = { maxBytes: limits.headBytes, maxFields: limits.headFields };
    known.set(limits, heads);
  }
  return heads;
}
