import { useEffect, useReducer, useState } from "preact/hooks";
import { ApprovalsPanel } from "./approvals-panel.tsx";
import { CertificatesView } from "./certificates-view.tsx";
import { ConfigurationView } from "./configuration-view.tsx";
import { formatAge, formatCount, show } from "./format.ts";
import { ListsView } from "./lists-view.tsx";
import { Overview } from "./overview.tsx";
import { useAnswer, usePage } from "./page-state.ts";
import { formatRoute, type Route, VIEWS, type View } from "./route.ts";
import { Mark, SignIn } from "./sign-in.tsx";
import { ThemeButton } from "./theme.tsx";
import { TunnelsView } from "./tunnels-view.tsx";
import { UpstreamsView } from "./upstreams-view.tsx";
import { type Go, useRoute } from "./use-route.ts";
import { UsersView } from "./users-view.tsx";
import type { StatusReport } from "./wire.ts";

/** Rows of the table that are followed, as many as the sidecar gives. None while nobody looks at it: that spares a slow link. */
const ROWS = 5000;
const STATUS_EVERY_MS = 2000;

const titles: Readonly<Record<View, string>> = {
  overview: "Overview",
  tunnels: "Tunnels",
  upstreams: "Upstreams",
  lists: "Lists",
  users: "Users",
  certificates: "Certificates",
  configuration: "Configuration",
};

/** The page: who has no token sees the question for it, and nothing else. */
export function App() {
  const page = usePage();
  const [reason, setReason] = useState<string | undefined>(undefined);
  useEffect(() => {
    page.session.whenRefused = (message) => {
      setReason(message);
      page.signOut();
    };
  }, [page]);
  return page.session.isOpen ? <Frame /> : <SignIn reason={reason} />;
}

function Frame() {
  const page = usePage();
  const [route, go] = useRoute();
  const [themes, themeChanged] = useReducer((count: number) => count + 1, 0);
  const isDark = useDarkness();
  const { view } = route;
  useEffect(() => page.live.start(view === "tunnels" ? ROWS : 0), [page, view]);
  useEffect(() => {
    const online = (): void => page.live.retry();
    addEventListener("online", online);
    return () => removeEventListener("online", online);
  }, [page]);
  const { value: status } = useAnswer("status", "", STATUS_EVERY_MS);
  page.model.status = status;
  useEffect(() => {
    const count = status === undefined ? "" : ` · ${formatCount(status.tunnels)} tunnels`;
    document.title = `${titles[view]}${count} · Penstock`;
  }, [view, status]);

  return (
    <div class={`frame view-${view}`}>
      <header>
        <a class="skip" href={location.hash} onClick={focusMain}>
          Skip to the content
        </a>
        <div class="name">
          <Mark />
          <h1>Penstock</h1>
          <Phase status={status} />
        </div>
        <Navigation view={view} route={route} go={go} />
        <div class="tools">
          <Link />
          <ThemeButton changed={() => themeChanged(undefined)} />
          <button type="button" class="icon" aria-label="Sign out" title="Sign out" onClick={() => page.signOut()}>
            <svg viewBox="0 0 20 20" aria-hidden="true">
              <path d="M8 3H4v14h4M8.500 10H17M13.500 6.500 17 10l-3.500 3.500" />
            </svg>
          </button>
        </div>
      </header>
      <ApprovalsPanel />
      <main id="main" tabIndex={-1} aria-label={titles[view]}>
        <Content route={route} go={go} look={`${themes} ${String(isDark)}`} />
      </main>
      <p class={`notice ${page.notice?.isError === true ? "bad" : ""}`} role="status" aria-live="polite">
        {page.notice?.text}
      </p>
    </div>
  );
}

function focusMain(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>("#main")?.focus();
}

function Content({ route, go, look }: { readonly route: Route; readonly go: Go; readonly look: string }) {
  switch (route.view) {
    case "overview":
      return <Overview look={look} go={go} />;
    case "tunnels":
      return <TunnelsView route={route} go={go} />;
    case "upstreams":
      return <UpstreamsView />;
    case "lists":
      return <ListsView />;
    case "users":
      return <UsersView go={go} />;
    case "certificates":
      return <CertificatesView />;
    case "configuration":
      return <ConfigurationView />;
    default:
      return route.view satisfies never;
  }
}

/** Whether the system prefers dark: charts are drawn again when that changes. */
function useDarkness(): boolean {
  const [query] = useState(() => matchMedia("(prefers-color-scheme: dark)"));
  const [isDark, setDark] = useState(query.matches);
  useEffect(() => {
    const follow = (): void => setDark(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, [query]);
  return isDark;
}

function Navigation({ view, route, go }: { readonly view: View; readonly route: Route; readonly go: Go }) {
  return (
    <nav aria-label="Views">
      {VIEWS.map((each) => (
        <a
          key={each}
          href={formatRoute({ ...route, view: each, id: undefined })}
          aria-current={each === view ? "page" : undefined}
          onClick={(event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            go({ view: each, id: undefined });
          }}
        >
          {titles[each]}
        </a>
      ))}
    </nav>
  );
}

function Phase({ status }: { readonly status: StatusReport | undefined }) {
  if (status === undefined) return null;
  const { phase, ready, version, uptime_ms } = status;
  return (
    <p class="phase">
      <span class={`dot ${phase === "serving" && ready ? "good" : "warn"}`} />
      {phase.replace("_", " ")}
      <span class="hint">
        {show(version)}, up {formatAge(uptime_ms)}
      </span>
    </p>
  );
}

/** Whether the figures are of now. */
function Link() {
  const page = usePage();
  const { state } = page.live;
  const [, turn] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    if (state.kind !== "waiting") return undefined;
    const timer = setInterval(() => turn(undefined), 1000);
    return () => clearInterval(timer);
  }, [state]);
  if (state.kind !== "waiting")
    return (
      <p class="link-state" role="status">
        <span class={`dot ${state.kind === "live" ? "good pulse" : "warn"}`} />
        {state.kind === "live" ? "Live" : "Connecting"}
      </p>
    );
  const seconds = Math.max(0, Math.ceil((state.until - performance.now()) / 1000));
  return (
    <p class="link-state">
      <span class="dot bad" />
      <span role="status">{state.why}</span>
      <button type="button" class="small" onClick={() => page.live.retry()}>
        Retry <span class="hint">in {seconds} s</span>
      </button>
    </p>
  );
}
