import { findRetryAfter } from "../../protocol/http1/retry-after.ts";
import type { ResponseHead } from "../../protocol/http1/response-head.ts";
import { type Failure, type Outcome, succeed } from "../failure.ts";
import type { Carriage } from "./carriage.ts";
import type { DialServices } from "./dial-context.ts";
import type { MemberUse } from "../upstream/member-use.ts";
import { dialPooled, type PooledDial, type PooledOutcome } from "./fail-over.ts";
import { MemberSearch, type SearchRequest } from "./member-search.ts";

/** The members of pools that carry one forwarded request, over all its tries. */
export class RequestMembers {
  /** Those of the current try. */
  carriage: Carriage;
  readonly #search: MemberSearch;
  /** Members that failed at the request, and why. Or the target did, behind them: another member will show. */
  readonly #suspects: { readonly use: MemberUse; readonly reason: string }[] = [];

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
    for (const { use, reason } of this.#suspects.splice(0)) use.blame(reason);
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

  /** The last member does not know the user name of this request, and works. */
  passOver(): void {
    const use = this.carriage.uses.at(-1);
    if (use !== undefined) this.#search.tried.add(use.leaf.member);
    this.carriage.worked();
    this.carriage.release();
  }

  /** The last member failed at the request, or passed on what the target did. */
  suspect({ detail }: Failure): void {
    const use = this.carriage.uses.at(-1);
    if (use === undefined) return;
    this.#search.tried.add(use.leaf.member);
    this.#suspects.push({ use, reason: detail });
    this.carriage.release();
  }

  /** Chooses others after a failure; undefined when there are none. */
  async next(): Promise<Carriage | undefined> {
    const { attempt } = this.carriage;
    const found = attempt < this.#search.attempts ? await this.#search.next() : undefined;
    if (found?.ok !== true) return undefined;
    this.carriage = found.value;
    this.carriage.attempt = attempt + 1;
    return this.carriage;
  }
}

/** Chooses the first members for a forwarded request; waits for them where a pool says so. */
export async function findMembers(request: SearchRequest, services: DialServices): Promise<Outcome<RequestMembers>> {
  const search = new MemberSearch(request, services);
  const first = await search.find();
  return first.ok ? succeed(new RequestMembers(search, first.value)) : first;
}
