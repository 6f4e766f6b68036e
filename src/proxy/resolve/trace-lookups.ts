import type { Lookup, Lookups, NamedHost } from "../../net/dns/resolver.ts";
import type { TraceScope } from "../trace/request-trace.ts";

/** Addresses that a step names. */
const MAX_NAMED = 8;

/** Looks a name up in a step of its own, which ends when both families have answered. */
export function traceLookups(host: NamedHost, find: () => Lookups, scope: TraceScope): Lookups {
  const step = scope.begin("resolve", host.text);
  const lookups = find();
  if (step === undefined) return lookups;
  const end = (answers: readonly Lookup[]): void => {
    const found = answers.flatMap((answer) => (answer.ok ? answer.addresses.map(({ text }) => text) : []));
    const failed = answers.find((answer) => !answer.ok);
    if (found.length === 0 && failed?.ok === false) step.end(failed.detail);
    else step.end(undefined, found.slice(0, MAX_NAMED).join(" "));
  };
  const [six, four] = [lookups[6], lookups[4]];
  if (six instanceof Promise || four instanceof Promise) void Promise.all([six, four]).then(end);
  else end([six, four]);
  return lookups;
}
