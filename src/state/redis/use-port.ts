import { formatDay } from "../../proxy/limit/calendar.ts";
import { findUserShare, type Limits } from "../../proxy/limit/limits.ts";
import type { Usage } from "../../proxy/limit/usage.ts";
import type { UseSpan, UseTable } from "./shared-use.ts";

const SPANS = ["day", "month"] as const;

/** The use of users that have quotas, as the fleet sees it. */
export function openUsePort(usage: Usage, limits: () => Limits): UseTable {
  const { clock, tables } = usage;
  const names = () =>
    SPANS.map((span) => ({ span, begins: clock.period[span], name: nameSpan(span, clock.period[span]) }));
  const hasQuota = (user: string) => findUserShare(limits(), user).quota !== undefined;
  const read = (user: string): UseSpan[] => {
    const use = tables.user.find(user);
    if (use === undefined) return [];
    return names().map(({ span, name }) => ({ name, bytes: use.ownBytes(span, clock.period) }));
  };
  return {
    read,
    get users() {
      return Array.from(tables.user, ({ key }) => key).filter((user) => hasQuota(user));
    },
    get spans() {
      return limits().hasQuotas ? names().map(({ name }) => name) : [];
    },
    setElsewhere(user, name, bytes) {
      const found = names().find((each) => each.name === name);
      // It is of a day that is over, or of nobody with a quota.
      if (found === undefined || bytes === 0 || !hasQuota(user)) return;
      tables.user.open(user).setElsewhere(found.span, found.begins, bytes);
    },
  };
}

function nameSpan(span: "day" | "month", begins: number): string {
  return `${span}:${formatDay(begins)}`;
}
