import { parseAuthElements } from "../../protocol/http1/auth-params.ts";
import { formatBasicCredentials } from "../../protocol/http1/basic-credentials.ts";
import type { DigestClient } from "./digest-client.ts";
import type { Upstream } from "./upstreams.ts";
import type { Login } from "../route/hop-login.ts";
import type { Hop } from "../route/hop.ts";

/** What to send: the value of Proxy-Authorization, or undefined for a request without it. */
export type Shown =
  | { readonly ok: true; readonly value: string | undefined }
  /** The credentials have no form in a field. `note` is for people. */
  | { readonly ok: false; readonly note: string };

/** What to do after a 407: ask again, or give up. */
export type LoginVerdict = { readonly retry: true } | { readonly retry: false; readonly note?: string };

const GIVE_UP: LoginVerdict = { retry: false };
const RETRY: LoginVerdict = { retry: true };

/** Names of schemes that are told. */
const MAX_SCHEMES = 5;

/**
 * Shows our credentials to an HTTP upstream in one request, which may take
 * several attempts: `authorize` before each, `refuse` after each 407. Basic is
 * shown unasked, unless the upstream is known or configured to want Digest.
 * There is an end to it: Basic is shown once, and Digest answers what it has to.
 */
export class UpstreamLogin {
  readonly #hop: Hop;
  readonly #login: Login | undefined;
  readonly #client: DigestClient | undefined;
  readonly #digest: ReturnType<DigestClient["begin"]> | undefined;
  #scheme: "basic" | "digest";
  #shownBasic = false;

  /** `login` are our credentials there; undefined for none. */
  constructor(hop: Hop, upstream: Upstream, login: Login | undefined) {
    this.#hop = hop;
    this.#login = login;
    if (login !== undefined && hop.auth !== "basic") {
      this.#client = upstream.digest(login);
      this.#digest = this.#client.begin();
    }
    this.#scheme = hop.auth ?? (this.#client?.latest === undefined ? "basic" : "digest");
  }

  /** Whether a first refusal may be answered: the request is to be kept for that. */
  get mayAskAgain(): boolean {
    return this.#digest !== undefined;
  }

  /** What to show with a request; `uri` is its request-target. */
  authorize(method: string, uri: string): Shown {
    const login = this.#login;
    if (login === undefined) return { ok: true, value: undefined };
    if (this.#scheme === "basic") {
      this.#shownBasic = true;
      return show(formatBasicCredentials(login.user, login.password), "Basic");
    }
    const answer = this.#digest?.authorize(method, uri);
    // As long as nothing was asked there is nothing to answer.
    return answer === undefined && this.#client?.latest === undefined
      ? { ok: true, value: undefined }
      : show(answer, "Digest");
  }

  /** Takes the Proxy-Authenticate values of a 407. */
  refuse(challenges: readonly string[]): LoginVerdict {
    if (this.#login === undefined) return GIVE_UP;
    const schemes = listSchemes(challenges);
    const offersBasic = schemes.includes("basic");
    if (this.#scheme === "basic" && (offersBasic || this.#digest === undefined)) return GIVE_UP;
    switch (this.#digest?.refuse(challenges)) {
      case "retry":
        this.#scheme = "digest";
        return RETRY;
      case "unsupported":
        // It asked for Digest once and does not any more.
        this.#client?.forget();
        if (!offersBasic || this.#shownBasic || this.#hop.auth === "digest") return explainSchemes(schemes);
        this.#scheme = "basic";
        return RETRY;
      default:
        return GIVE_UP;
    }
  }
}

function show(value: string | undefined, scheme: string): Shown {
  return value === undefined ? { ok: false, note: `they have no ${scheme} form` } : { ok: true, value };
}

function listSchemes(challenges: readonly string[]): string[] {
  return challenges.flatMap((value) => parseAuthElements(value) ?? []).map(({ scheme }) => scheme);
}

function explainSchemes(schemes: readonly string[]): LoginVerdict {
  if (schemes.length === 0) return GIVE_UP;
  const names = [...new Set(schemes)].slice(0, MAX_SCHEMES).map((name) => name.slice(0, 32));
  return { retry: false, note: `it asks for ${names.join(", ")}` };
}
