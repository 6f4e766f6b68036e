import { createContext } from "preact";
import { useContext, useEffect, useReducer } from "preact/hooks";
import { type Asked, FollowedAnswer } from "./followed-answer.ts";
import { LiveConnection } from "./live-connection.ts";
import { LiveModel } from "./live-model.ts";
import { Session } from "./session.ts";
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
  /** By path and pause. */
  readonly #answers = new Map<string, FollowedAnswer<unknown>>();
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(storage: Storage) {
    this.session = new Session(storage);
    this.live = new LiveConnection({ session: this.session, model: this.model, changed: () => this.tell() });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) for (const followed of this.#answers.values()) followed.look();
    });
  }

  /** What the path answers. Parts of the page that show the same share it. */
  findAnswer<T>(path: string, everyMs: number): FollowedAnswer<T> {
    const key = `${path} ${everyMs}`;
    const known = this.#answers.get(key) as FollowedAnswer<T> | undefined;
    if (known !== undefined) return known;
    const ask = (signal: AbortSignal) => this.session.ask<T>(path, { signal });
    const isHidden = (): boolean => document.hidden;
    // Another one may have taken its place meanwhile.
    const forget = (): void => {
      if (this.#answers.get(key) === followed) this.#answers.delete(key);
    };
    const followed = new FollowedAnswer<T>({ ask, everyMs, isHidden, forget });
    this.#answers.set(key, followed);
    return followed;
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

/** What the path `/KIND` with `rest` answers, asked for again every `everyMs` while somebody looks. */
export function useAnswer<K extends keyof Answers>(kind: K, rest: string, everyMs: number): Asked<Answers[K]> {
  const page = usePage();
  const [, render] = useReducer((count: number) => count + 1, 0);
  const followed = page.findAnswer<Answers[K]>(`/${kind}${rest}`, everyMs);
  useEffect(() => followed.follow(() => render(undefined)), [followed]);
  return followed.state;
}
