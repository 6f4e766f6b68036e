/** Where the token is kept: gone with the tab, and never in a URL. */
const KEY = "penstock.token";

/** An answer of the sidecar, or what came in its place, as a sentence for people. */
export type Answer<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      /** 0 when there was no answer. */
      readonly status: number;
      readonly message: string;
      /** Seconds to wait, when the sidecar says so. */
      readonly retryAfter: number | undefined;
    };

type Failed = Extract<Answer<unknown>, { readonly ok: false }>;

export interface AskOptions {
  readonly method?: "GET" | "DELETE" | "POST";
  /** Sent as JSON. */
  readonly body?: object;
  readonly signal?: AbortSignal;
}

/** Where the token is kept in the tab. */
export interface TokenStore {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** Asks the sidecar that served the page, in the name of who signed in. */
export class Session {
  #token: string | undefined;
  /** Called when the token is not, or no longer, the right one. */
  whenRefused: (message: string) => void = () => {};
  readonly #storage: TokenStore;
  readonly #fetch: (path: string, init: RequestInit) => Promise<Response>;

  constructor(
    storage: TokenStore,
    send: (path: string, init: RequestInit) => Promise<Response> = (path, init) => fetch(path, init),
  ) {
    this.#storage = storage;
    this.#fetch = send;
    this.#token = storage.getItem(KEY) ?? undefined;
  }

  get isOpen(): boolean {
    return this.#token !== undefined;
  }

  /** Keeps a token that the sidecar accepts. */
  async signIn(token: string): Promise<Answer<unknown>> {
    // RFC 6750 §2.1: what else is in a header would be refused by the browser.
    if (!/^[\x21-\x7e]+$/.test(token))
      return fail(401, "A token has printable ASCII characters and no spaces.", undefined);
    this.#token = token;
    const answer = await this.#ask("/status", {});
    if (answer.ok) this.#storage.setItem(KEY, token);
    else this.#token = undefined;
    return answer;
  }

  signOut(): void {
    this.#token = undefined;
    this.#storage.removeItem(KEY);
  }

  /** The JSON at a path. */
  async ask<T>(path: string, options: AskOptions = {}): Promise<Answer<T>> {
    const answer = await this.#ask<T>(path, options);
    if (!answer.ok) this.#judge(answer);
    return answer;
  }

  /** The body of a stream, as it comes. */
  async open(path: string, signal: AbortSignal): Promise<Answer<ReadableStream<Uint8Array>>> {
    const answer = await this.#send(path, { signal });
    if (answer.ok) {
      const { body } = answer.value;
      return body === null
        ? fail(answer.value.status, "The sidecar sent no data.", undefined)
        : { ok: true, value: body };
    }
    this.#judge(answer);
    return answer;
  }

  #judge({ status, message }: Failed): void {
    if (status !== 401) return;
    this.signOut();
    this.whenRefused(message);
  }

  async #ask<T>(path: string, options: AskOptions): Promise<Answer<T>> {
    const answer = await this.#send(path, options);
    if (!answer.ok) return answer;
    try {
      return { ok: true, value: answer.value.status === 204 ? (undefined as T) : ((await answer.value.json()) as T) };
    } catch {
      return fail(0, "The answer of the sidecar was cut off.", undefined);
    }
  }

  async #send(path: string, { method = "GET", signal, body }: AskOptions): Promise<Answer<Response>> {
    const headers = {
      ...(this.#token !== undefined && { Authorization: `Bearer ${this.#token}` }),
      ...(body !== undefined && { "Content-Type": "application/json" }),
    };
    let response: Response;
    try {
      response = await this.#fetch(path, {
        method,
        headers,
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        ...(signal && { signal }),
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
    } catch {
      return fail(0, "The sidecar does not answer.", undefined);
    }
    if (response.ok) return { ok: true, value: response };
    const retryAfter = Number(response.headers.get("Retry-After") ?? Number.NaN);
    return fail(response.status, await readDetail(response), Number.isFinite(retryAfter) ? retryAfter : undefined);
  }
}

function fail(status: number, message: string, retryAfter: number | undefined): Failed {
  return { ok: false, status, message, retryAfter };
}

/** The sentence of an RFC 9457 problem. */
async function readDetail(response: Response): Promise<string> {
  const fallback = `The sidecar answered ${response.status}.`;
  try {
    const problem: unknown = await response.json();
    const detail = typeof problem === "object" && problem !== null && "detail" in problem ? problem.detail : undefined;
    return typeof detail === "string" ? detail : fallback;
  } catch {
    return fallback;
  }
}
