import { describeFailure, type Failure } from "./failure.ts";

/** Notes of failures of a name server, after which nothing is known about the name. */
const SERVER_FAULT = /\b(?:E?SERVFAIL|E?REFUSED|ECONNREFUSED|E?FORMERR|EBADRESP|ENONAME|ENOTIMP)\b/;

/**
 * Writes the sentence that names the peer that failed: the upstream by its
 * configured name, the name server, or the target. `nextHop` is another name for
 * the upstream. What an upstream reports of the target is not called its own fault.
 */
export function explainFailure(failure: Failure, nextHop = nameUpstream(failure.nextHop)): string {
  if (failure.isReported !== true || nextHop === undefined) return writeSentence(failure, nextHop);
  return `${writeSentence(failure, nameUpstream(failure.culprit)).replace(/\.$/, "")}, as ${nextHop} reports.`;
}

function writeSentence({ detail, note }: Failure, upstream: string | undefined): string {
  const peer = upstream ?? (detail.includes("upstream") ? "the upstream proxy" : "the target");
  if (detail === "dns_error" && note !== undefined && SERVER_FAULT.test(note))
    return `The name server failed when it was asked for the name of ${peer}.`;
  // The name of an upstream may have what a replacement would take for a pattern.
  const text = describeFailure(detail).text.replace("{peer}", () => peer);
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function nameUpstream(name: string | undefined): string | undefined {
  return name === undefined ? undefined : `the upstream ${name}`;
}
