import { formatAge, formatCount, formatMs, show } from "./format.ts";
import { useAnswer } from "./page-state.ts";
import { Sheet } from "./sheet.tsx";
import type { MemberRow, UpstreamRow } from "./wire.ts";

const EVERY_MS = 2000;

/** Upstreams, with the health of the members of pools. */
export function UpstreamsView() {
  const { value, problem } = useAnswer("upstreams", "", EVERY_MS);
  const upstreams = value?.upstreams ?? [];
  const singles = upstreams.filter(({ members }) => members === undefined);
  return (
    <>
      <h2>Upstreams</h2>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {value !== undefined && upstreams.length === 0 && (
        <p class="waiting">None is configured: targets are dialled directly.</p>
      )}
      {upstreams.map(
        (upstream) => upstream.members && <Pool key={upstream.name} {...upstream} members={upstream.members} />,
      )}
      {singles.length > 0 && (
        <section aria-labelledby="singles">
          <h3 id="singles">Single upstreams</h3>
          <Sheet
            label="Single upstreams"
            rows={singles}
            keyOf={({ name }) => name}
            columns={[
              { title: "Name", read: ({ name }) => <b>{show(name)}</b> },
              { title: "Kind", read: ({ kind }) => show(kind) },
              { title: "Address", read: ({ address }) => show(address) },
              { title: "Dialling", isNumber: true, read: ({ dialling = 0 }) => formatCount(dialling) },
              { title: "Dialled", isNumber: true, read: ({ dialled = 0 }) => formatCount(dialled) },
              { title: "Failed", isNumber: true, read: ({ failed = 0 }) => formatCount(failed) },
            ]}
          />
        </section>
      )}
    </>
  );
}

function Pool(pool: UpstreamRow & { readonly members: readonly MemberRow[] }) {
  const { name, kind, balance, waiting, sessions, members, from, fault } = pool;
  const well = members.filter(({ health, disabled }) => health === "healthy" && !disabled).length;
  const title = `pool-${name}`;
  return (
    <section aria-labelledby={title}>
      <h3 id={title}>
        {show(name)} <span class="tag">{show(balance ?? kind)}</span>{" "}
        <small>
          {well} of {members.length} healthy
          {waiting !== undefined && waiting > 0 && `, ${formatCount(waiting)} requests wait`}
          {sessions !== undefined && sessions > 0 && `, ${formatCount(sessions)} sessions`}
          {from !== undefined && `, from ${show(from)}`}
        </small>
      </h3>
      {fault !== undefined && <p class="problem">The PAC file {show(fault)}.</p>}
      <Sheet
        label={`Members of ${show(name)}`}
        rows={members}
        keyOf={(member) => member.name}
        columns={[
          { title: "Member", read: (member) => <b>{show(member.name)}</b> },
          { title: "Health", read: (member) => <Health {...member} /> },
          {
            title: "Connections",
            isNumber: true,
            read: ({ connections, max_connections: most }) =>
              most > 0 ? `${formatCount(connections)} of ${formatCount(most)}` : formatCount(connections),
          },
          { title: "Dial p50", isNumber: true, read: ({ latency_ms }) => formatMs(latency_ms?.p50) },
          { title: "Dial p99", isNumber: true, read: ({ latency_ms }) => formatMs(latency_ms?.p99) },
          { title: "Dialled", isNumber: true, read: ({ dialled }) => formatCount(dialled) },
          { title: "Failed", isNumber: true, read: ({ failed }) => formatCount(failed) },
          { title: "Weight", isNumber: true, read: ({ weight, backup }) => (backup ? "backup" : formatCount(weight)) },
        ]}
      />
    </section>
  );
}

function Health({ health, disabled, reason, since_ms, ejected_for_ms }: MemberRow) {
  const word = disabled ? "disabled" : health;
  const tone = disabled ? "off" : health === "healthy" ? "good" : "bad";
  const wait = ejected_for_ms === undefined ? "" : `, back in ${formatAge(ejected_for_ms)}`;
  return (
    <>
      <span class={`dot ${tone}`} /> {show(word)}{" "}
      <span class="hint">
        for {formatAge(since_ms)}
        {wait}
        {tone !== "good" && reason !== undefined && `: ${show(reason)}`}
      </span>
    </>
  );
}
