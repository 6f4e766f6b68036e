import type { HeadLimits } from "../../protocol/http1/head-parser.ts";
import type { Limits } from "../runtime.ts";

/** How large the head of a request may be. */
export function limitHeads({ headBytes, headFields }: Limits): HeadLimits {
  return { maxBytes: headBytes, maxFields: headFields };
}
