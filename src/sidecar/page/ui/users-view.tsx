import { useState } from "preact/hooks";
import { formatBytes } from "../../../proxy/record/access-line.ts";
import { countOf, formatCount, formatRate, show } from "./format.ts";
import { useAnswer } from "./page-state.ts";
import { Sheet } from "./sheet.tsx";
import { filterForUser } from "./table-order.ts";
import type { Go } from "./use-route.ts";
import type { Quota, UserRow } from "./wire.ts";

const EVERY_MS = 2000;
/** Users that are asked for: those with the most bytes. */
const TOP = 200;

/** Users with what they move now, today and in this month, and what is left of their quotas. */
export function UsersView({ go }: { readonly go: Go }) {
  const { value, problem } = useAnswer("usage", `?by=user&top=${TOP}`, EVERY_MS);
  const [wanted, setWanted] = useState("");
  const users = (value?.usage ?? []).filter(({ user }) => user.toLowerCase().includes(wanted.toLowerCase()));
  return (
    <>
      <div class="toolbar">
        <h2>Users</h2>
        <label class="hidden" for="user-filter">
          Filter by name
        </label>
        <input
          id="user-filter"
          type="search"
          placeholder="Filter by name"
          value={wanted}
          onInput={({ currentTarget }) => setWanted(currentTarget.value)}
        />
        <p class="count">
          <b>{formatCount(users.length)}</b> of {formatCount((value?.usage.length ?? 0) + (value?.others.number ?? 0))}
        </p>
      </div>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {typeof value?.kept === "string" && <p class="problem">Use is not kept now: {show(value.kept)}</p>}
      {value !== undefined && users.length === 0 && (
        <p class="waiting">{value.usage.length === 0 ? "No user was here today." : "Nobody has such a name."}</p>
      )}
      {users.length > 0 && (
        <Sheet
          label="Users"
          rows={users}
          keyOf={({ user }) => user}
          columns={[
            {
              title: "User",
              read: ({ user }) => (
                <button type="button" class="link" onClick={() => go({ view: "tunnels", filter: filterForUser(user) })}>
                  {show(user)}
                </button>
              ),
            },
            { title: "Open", isNumber: true, read: ({ open }) => formatCount(open) },
            { title: "Rate down", isNumber: true, read: ({ rate }) => formatRate(rate.down) },
            { title: "Rate up", isNumber: true, read: ({ rate }) => formatRate(rate.up) },
            { title: "Today", isNumber: true, read: ({ today }) => formatBytes(today.up + today.down) },
            { title: "Month", isNumber: true, read: ({ month }) => formatBytes(month.up + month.down) },
            { title: "Quota", read: (row) => <Quotas {...row} /> },
            { title: "Limits", read: (row) => describeLimits(row) },
            {
              title: "Refused",
              isNumber: true,
              read: ({ refused }) => formatCount(Object.values(refused).reduce((sum, count) => sum + count, 0)),
            },
          ]}
        />
      )}
      {(value?.others.number ?? 0) > 0 && (
        <p class="hint">
          The {TOP} who moved the most are shown; {countOf(value?.others.number ?? 0, "user")} more moved{" "}
          {formatBytes((value?.others.up ?? 0) + (value?.others.down ?? 0))}.
        </p>
      )}
    </>
  );
}

function Quotas({ quota }: UserRow) {
  if (quota === undefined) return <span class="hint">none</span>;
  return (
    <>
      {quota.day && <QuotaBar name="day" {...quota.day} />}
      {quota.month && <QuotaBar name="month" {...quota.month} />}
    </>
  );
}

/** Shares of a quota from which it is told in colour. */
const NEARLY = 0.8;

function QuotaBar({ name, limit, used, left, resets_at }: Quota & { readonly name: string }) {
  const share = limit === 0 ? 1 : Math.min(1, used / limit);
  const tone = share >= 1 ? "bad" : share >= NEARLY ? "warn" : "";
  return (
    <div class="quota" title={`Begins anew ${new Date(resets_at).toLocaleString()}`}>
      <span>{formatBytes(left)}</span>{" "}
      <span class="hint">
        of {formatBytes(limit)} left this {name}
      </span>
      <span class={`bar ${tone}`} aria-hidden="true">
        <i style={{ width: `${share * 100}%` }} />
      </span>
    </div>
  );
}

function describeLimits({ limits }: UserRow): string {
  const { connections, requests_per_second: requests, bytes_per_second: bytes } = limits ?? {};
  const parts = [
    connections !== undefined && countOf(connections, "connection"),
    requests !== undefined && `${formatCount(requests)} requests/s`,
    bytes?.down !== undefined && `${formatRate(bytes.down)} down`,
    bytes?.up !== undefined && `${formatRate(bytes.up)} up`,
  ];
  return parts.filter((part) => typeof part === "string").join(", ") || "none";
}
