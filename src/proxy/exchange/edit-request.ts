import { editFields } from "../../protocol/http1/edit-fields.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import type { AllowDecision } from "../policy/decision.ts";
import type { ForwardRequest } from "../read/forward-request.ts";
import { findReportedForwarding } from "../tunnel/judge-inside.ts";

/**
 * Changes a request as the rule that lets it through says. Values that are added
 * may be credentials: they go over TLS to the target itself, and not with TRACE,
 * whose answer would show them to the client.
 */
export function editRequest(request: ForwardRequest, decision: AllowDecision): Outcome<ForwardRequest> {
  const { rule } = decision;
  // A rule gives nothing to what it would refuse, and only reports.
  const isBreach = decision.request?.adds === true && findReportedForwarding(decision) !== undefined;
  const edits = isBreach ? decision.request?.withoutAdded : decision.request;
  if (edits === undefined) return succeed(request);
  const { head, scheme } = request;
  // TRACK is what TRACE is called in older servers of Microsoft.
  if (edits.adds && /^TRAC[EK]$/i.test(head.method))
    return fail("edits_unsafe", { note: `rule ${rule} adds fields, and ${head.method} echoes them` });
  // For an https URI, TLS ends at the target, whatever upstreams are on the way.
  if (edits.adds && scheme !== "https" && !edits.allowPlain)
    return fail("edits_unsafe", { note: `rule ${rule} adds fields, and the URI is not https` });
  const fields = editFields(request.fields, edits.fields);
  if (fields === undefined) return fail("head_too_large", { note: `with what rule ${rule} adds` });
  const { dropped } = edits.fields;
  if (request.framing.kind === "chunked" && dropped.size > 0) return succeed({ ...request, fields, withheld: dropped });
  return succeed(fields === request.fields ? request : { ...request, fields });
}
