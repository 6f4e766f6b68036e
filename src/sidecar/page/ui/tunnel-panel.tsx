import { useEffect, useRef } from "preact/hooks";
import { formatBytes } from "../../../proxy/record/access-line.ts";
import { formatAge, formatMs, formatRate, show } from "./format.ts";
import type { Row } from "./live-model.ts";
import { useAnswer, usePage } from "./page-state.ts";
import { Sequence } from "./sequence.tsx";
import type { TlsFields, TunnelDetails, TunnelRow } from "./wire.ts";

const EVERY_MS = 3000;

interface PanelProps {
  readonly id: string;
  /** What the table knows; undefined once it is over, or when it has no place in the table. */
  readonly row: Row | undefined;
  readonly close: () => void;
  /** Undefined where the token may not. */
  readonly end: ((id: string, target: string | undefined) => void) | undefined;
  readonly endAllOf: (user: string) => void;
}

/** One tunnel or request: its facts, stages, and TLS handshake. */
export function TunnelPanel({ id, row, close, end, endAllOf }: PanelProps) {
  const { value, problem } = useAnswer("tunnels", `/${encodeURIComponent(id)}`, EVERY_MS);
  const { live } = usePage();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus();
    const press = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && document.querySelector("dialog[open]") === null) close();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  const facts: TunnelRow | undefined = row?.facts ?? value;
  const isOver = problem !== undefined && row === undefined && live.state.kind === "live";
  const user = facts?.user;

  return (
    <aside class="panel" aria-labelledby="panel-title">
      <header>
        <h2 id="panel-title" ref={heading} tabIndex={-1}>
          {show(facts?.target ?? id)}
        </h2>
        <button type="button" class="icon" aria-label="Close" onClick={close}>
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="M5 5l10 10M15 5 5 15" />
          </svg>
        </button>
      </header>
      {isOver && <p class="problem">It is over. {problem}</p>}
      {problem !== undefined && !isOver && <p class="hint">{problem}</p>}
      {end !== undefined && (
        <div class="buttons">
          <button type="button" class="danger" disabled={isOver} onClick={() => end(id, facts?.target)}>
            End {facts?.kind === "request" ? "request" : "tunnel"}
          </button>
          {user !== undefined && (
            <button type="button" class="danger quiet" onClick={() => endAllOf(user)}>
              End all of {show(user)}
            </button>
          )}
        </div>
      )}
      {facts !== undefined && <Facts facts={facts} row={row} details={value} />}
      {value !== undefined && <Stages stages={value.stages} />}
      {facts?.tls !== undefined && <Tls tls={value?.tls ?? facts.tls} />}
      {value !== undefined && <Sequence details={value} />}
    </aside>
  );
}

interface FactsProps {
  readonly facts: TunnelRow;
  readonly row: Row | undefined;
  readonly details: TunnelDetails | undefined;
}

function Facts({ facts, row, details }: FactsProps) {
  const age = row === undefined ? facts.age_ms : performance.now() - row.since;
  const up = row?.up ?? facts.bytes_up;
  const down = row?.down ?? facts.bytes_down;
  const parameters = Object.entries(facts.parameters ?? {}).map(([name, value]) => `${name}=${value}`);
  return (
    <>
      <dl class="figures small">
        <Fact name="Down" value={formatBytes(down)} more={row && formatRate(row.rateDown)} />
        <Fact name="Up" value={formatBytes(up)} more={row && formatRate(row.rateUp)} />
        <Fact name="Age" value={formatAge(age)} more={undefined} />
      </dl>
      <List
        entries={[
          ["User", facts.user],
          ["Client", facts.client],
          ["Listener", facts.listener],
          ["Protocol", [facts.protocol, facts.method, facts.scheme].filter(Boolean).join(" ")],
          ["Rule", facts.rule],
          ["Reported", facts.reported && `${facts.reported} by ${facts.reported_rule}`],
          ["Route", facts.route],
          ["Member", details?.member],
          ["Dialled", facts.dialled],
          ["Attempts", details?.attempts?.toString()],
          ["Inside", facts.inside],
          ["Waits for", facts.limit],
          ["Parameters", parameters.join(", ")],
          ["Started", new Date(facts.started_at).toLocaleString()],
          ["Id", facts.id],
        ]}
      />
    </>
  );
}

function Fact({
  name,
  value,
  more,
}: {
  readonly name: string;
  readonly value: string;
  readonly more: string | undefined;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
      {more !== undefined && <dd class="hint">{more}</dd>}
    </div>
  );
}

/** Names and values; those that are not known are left out. */
function List({ entries }: { readonly entries: readonly (readonly [name: string, value: string | undefined])[] }) {
  return (
    <dl class="facts">
      {entries.map(([name, value]) =>
        value === undefined || value === "" ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{show(value)}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

function Tls({ tls }: { readonly tls: TlsFields }) {
  return (
    <section aria-labelledby="tls">
      <h3 id="tls">TLS inside</h3>
      <List
        entries={[
          ["SNI", tls.sni],
          ["Version", tls.version],
          ["Cipher suite", tls.cipher],
          ["ALPN offered", tls.alpn],
          ["ALPN chosen", tls.alpn_chosen],
          ["Resumed", tls.resumed === undefined ? undefined : tls.resumed ? "yes" : "no"],
          ["JA4", tls.ja4],
          ["JA3", tls.ja3],
          ["Certificate ends", tls.certificate_expires],
          ["Handshake", tls.handshake_ms === undefined ? undefined : formatMs(tls.handshake_ms)],
          ["Alert", tls.alert],
        ]}
      />
    </section>
  );
}

/** The stages of a request as bars on one scale. The last one, which still runs, has no bar. */
function Stages({ stages }: Pick<TunnelDetails, "stages">) {
  const past = stages.slice(0, -1);
  const last = stages.at(-1);
  const end = past.reduce((most, { at_ms, ms }) => Math.max(most, at_ms + ms), 0) || 1;
  if (last === undefined) return null;
  return (
    <section aria-labelledby="stages">
      <h3 id="stages">
        Stages <small>{formatMs(end)} until the first byte could pass</small>
      </h3>
      <ol class="stages">
        {past.map(({ name, at_ms, ms }) => (
          <li key={name}>
            <span>{show(name)}</span>
            <span class="bar" aria-hidden="true">
              <i style={{ marginLeft: `${(100 * at_ms) / end}%`, width: `${(100 * ms) / end}%` }} />
            </span>
            <b>{formatMs(ms)}</b>
          </li>
        ))}
        <li>
          <span>{show(last.name)}</span>
          <span class="hint">under way</span>
          <b>{formatAge(last.ms)}</b>
        </li>
      </ol>
    </section>
  );
}
