import { createContext } from "preact";
import { useContext, useEffect, useReducer } from "preact/hooks";
import { LiveConnection } from "./live-connection.ts";
import { LiveModel } from "./live-model.ts";
import { type Answer, Session } from "./session.ts";
import type {
  ApprovalsAnswer,
  CertificatesAnswer,
  SeriesAnswer,
  StatusReport,
  TokenAnswer,
  TunnelDetails,
  UpstreamRow,
  UsageAnswer,
} from "./wire.ts";

/** What the parts of the page share. */
export class PageState {
  readonly session: Session;
  readonly model = new LiveModel();
  readonly live: LiveConnection;
  /** What was done last, for the line at the bottom; it is read out. */
  notice: { readonly text: string; readonly isError: boolean } | undefined;
  readonly #listeners = new Set<() => void>();
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(storage: Storage) {
    this.session = new Session(storage);
    this.live = new LiveConnection({ session: this.session, model: this.model, changed: () => this.tell() });
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Says what came of an action. */
  note(text: string, isError = false): void {
    clearTimeout(this.#noticeTimer);
    this.notice = { text, isError };
    this.#noticeTimer = setTimeout(() => {
      this.notice = undefined;
      this.tell();
    }, NOTICE_MS);
    this.tell();
  }

  signOut(): void {
    this.live.stop();
    this.session.signOut();
    this.tell();
  }
}

const NOTICE_MS = 8_000;

export const PageContext = createContext<PageState | undefined>(undefined);

/** The state of the page. The component renders again when it changes. */
export function usePage(): PageState {
  const page = useContext(PageContext);
  if (page === undefined) throw new Error("The page has no state.");
  const [, render] = useReducer((count: number) => count + 1, 0);
  useEffect(() => page.subscribe(() => render(undefined)), [page]);
  return page;
}

/** What the sidecar answers, by the beginning of the path. */
interface Answers {
  readonly approvals: ApprovalsAnswer;
  readonly certificates: CertificatesAnswer;
  readonly config: Readonly<Record<string, unknown>>;
  readonly series: SeriesAnswer;
  readonly status: StatusReport;
  readonly token: TokenAnswer;
  readonly tunnels: TunnelDetails;
  readonly upstreams: { readonly upstreams: readonly UpstreamRow[] };
  readonly usage: UsageAnswer;
}

interface Asked<T> {
  /** The newest answer that came. */
  readonly value: T | undefined;
  /** Why the last one did not come. */
  readonly problem: string | undefined;
}

/** What the path `/KIND` with `rest` answers, asked for again every `everyMs` while somebody looks. */
export function useAnswer<K extends keyof Answers>(kind: K, rest: string, everyMs: number): Asked<Answers[K]> {
  const { session } = usePage();
  const [state, set] = useReducer(
    (before: Asked<Answers[K]>, answer: Answer<Answers[K]>): Asked<Answers[K]> =>
      answer.ok ? { value: answer.value, problem: undefined } : { value: before.value, problem: answer.message },
    { value: undefined, problem: undefined },
  );
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      clearTimeout(timer);
      if (!document.hidden) {
        const answer = await session.ask<Answers[K]>(`/${kind}${rest}`, { signal: stop.signal });
        if (stop.signal.aborted) return;
        set(answer);
      }
      timer = setTimeout(() => void ask(), everyMs);
    };
    void ask();
    const look = (): void => void (document.hidden ? undefined : ask());
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      stop.abort();
      clearTimeout(timer);
    };
  }, [kind, rest, everyMs, session]);
  return state;
}
