import { useEffect, useRef } from "preact/hooks";
import { Confirm, useConfirm } from "./confirm.tsx";
import { countOf, formatCount, formatRate, show } from "./format.ts";
import { useAnswer, usePage } from "./page-state.ts";
import type { Route } from "./route.ts";
import { arrange, isForUser } from "./table-order.ts";
import { TunnelPanel } from "./tunnel-panel.tsx";
import { TunnelTable } from "./tunnel-table.tsx";
import type { Go } from "./use-route.ts";

/** A reload may change what a token may do. */
const TOKEN_EVERY_MS = 30_000;

/** The live table of tunnels and forwarded requests, and the one that is open. */
export function TunnelsView({ route, go }: { readonly route: Route; readonly go: Go }) {
  const page = usePage();
  const { model, live } = page;
  const input = useRef<HTMLInputElement>(null);
  const confirm = useConfirm();
  const { value: token } = useAnswer("token", "", TOKEN_EVERY_MS);
  const mayEnd = token?.may.includes("operate") === true;
  const rows = arrange(model.rows.values(), route.filter, route.order);
  const rate = rows.reduce((sum, row) => sum + row.rateUp + row.rateDown, 0);
  const user = isForUser(route.filter) ? rows[0]?.facts.user : undefined;

  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);

  const end = async (path: string, what: string): Promise<void> => {
    const answer = await page.session.ask<{ ended?: number } | undefined>(path, { method: "DELETE" });
    if (!answer.ok) return page.note(answer.message, true);
    return page.note(
      answer.value?.ended === undefined
        ? `Ended ${what}.`
        : `Ended ${countOf(answer.value.ended, "tunnel")} of ${what}.`,
    );
  };
  const endOne = (id: string, target: string | undefined): void =>
    confirm.ask(`End the tunnel to ${show(target)}?`, "End tunnel", () =>
      end(`/tunnels/${encodeURIComponent(id)}`, id),
    );
  const endAllOf = (name: string): void =>
    confirm.ask(`End all tunnels and requests of ${show(name)}?`, "End all", () =>
      end(`/tunnels?user=${encodeURIComponent(name)}`, show(name)),
    );
  const close = (): void => {
    go({ id: undefined });
    document.querySelector<HTMLElement>("#tunnel-rows")?.focus();
  };

  return (
    <div class={route.id === undefined ? "tunnels" : "tunnels with-panel"}>
      <section aria-labelledby="tunnels">
        <div class="toolbar">
          <h2 id="tunnels">Tunnels</h2>
          <label class="hidden" for="filter">
            Filter
          </label>
          <input
            id="filter"
            ref={input}
            type="search"
            placeholder="Filter: example.org, user:alice, sni:api*"
            aria-describedby="filter-hint"
            value={route.filter}
            onInput={(event) => go({ filter: event.currentTarget.value }, "replace")}
          />
          <p class="count" id="filter-hint">
            <b>{formatCount(rows.length)}</b> of {formatCount(model.total)}
            <span class="hint"> · {formatRate(rate)}</span>
          </p>
          {mayEnd && user !== undefined && (
            <button type="button" class="danger" onClick={() => endAllOf(user)}>
              End all of {show(user)}
            </button>
          )}
        </div>
        {token !== undefined && !mayEnd && (
          <p class="hint">This token may not end tunnels: that needs one that may operate.</p>
        )}
        <TunnelTable
          rows={rows}
          order={route.order}
          open={route.id}
          sort={(order) => go({ order }, "replace")}
          show={(id) => go({ id }, route.id === undefined ? undefined : "replace")}
          end={mayEnd ? endOne : undefined}
          empty={
            live.state.kind === "live"
              ? route.filter === ""
                ? "No tunnel is open."
                : "Nothing matches the filter."
              : "Waiting for the table…"
          }
        />
        {model.total > model.rows.size && live.state.kind === "live" && (
          <p class="hint">
            The {formatCount(model.rows.size)} oldest are shown. For others ask <code>penstock tunnels</code>.
          </p>
        )}
      </section>
      {route.id !== undefined && (
        <TunnelPanel
          key={route.id}
          id={route.id}
          row={model.rows.get(route.id)}
          close={close}
          end={mayEnd ? endOne : undefined}
          endAllOf={endAllOf}
        />
      )}
      <Confirm {...confirm} />
    </div>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}
