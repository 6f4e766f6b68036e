import { findRetryAfter } from "../../protocol/http1/retry-after.ts";
import type { ResponseHead } from "../../protocol/http1/response-head.ts";
import type { Failure } from "../failure.ts";
import type { Carriage } from "./carriage.ts";
import type { DialServices } from "./dial-context.ts";
import { dialPooled, type PooledDial, type PooledOutcome } from "./fail-over.ts";
import type { Found, MemberSearch } from "./member-search.ts";

/** The members of pools that carry one forwarded request, over all its tries. */
export class RequestMembers {
  /** Those of the current try. */
  carriage: Carriage;
  readonly #search: MemberSearch;

  constructor(search: MemberSearch, first: Carriage) {
    this.#search = search;
    this.carriage = first;
  }

  /** Dials through the chosen members first. */
  async dial(request: Omit<PooledDial, "search">, services: DialServices): Promise<PooledOutcome> {
    const outcome = await dialPooled({ ...request, search: this.#search }, services, this.carriage);
    if (outcome.carriage !== undefined) this.carriage = outcome.carriage;
    return outcome;
  }

  /** A response came, from the last member or from behind it: its status may eject the member. */
  answered(head: ResponseHead): void {
    if (!this.carriage.refused(head.status, findRetryAfter(head))) this.carriage.worked();
  }

  /** The last member failed at the request. */
  failed({ detail }: Failure): void {
    const use = this.carriage.uses.at(-1);
    if (use === undefined) return;
    this.#search.tried.add(use.leaf.member);
    use.failed(detail);
    this.carriage.release();
  }

  /** Chooses others after a failure. */
  async next(): Promise<Found> {
    const { attempt } = this.carriage;
    if (attempt >= this.#search.attempts) return { ok: false, failure: { detail: "no_healthy_upstream" } };
    const found = await this.#search.next();
    if (!found.ok) return found;
    this.carriage = found.value;
    this.carriage.attempt = attempt + 1;
    return found;
  }
}
