import type { AddressSet } from "../../address/address-set.ts";
import type { Ip } from "../../address/ip.ts";
import { TRACEPARENT } from "../../protocol/http1/field-names.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import { parseTraceParent, type TraceParent } from "../../protocol/trace-parent.ts";
import { RequestTrace } from "./request-trace.ts";

export interface TracingOptions {
  /** The part of requests that is traced, from 0 to 1. */
  readonly sample: number;
  /** Clients whose `traceparent` is continued; undefined for none. */
  readonly trustFrom: AddressSet | undefined;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** Chooses the requests that are traced. A request that is not costs one comparison. */
export class Tracing {
  readonly #options: TracingOptions;
  /** Requests until the next one that is traced, that one included. */
  #left: number;

  constructor(options: TracingOptions) {
    this.#options = options;
    this.#left = this.#draw();
  }

  /** The trace of a request that begins; undefined when it is not traced. */
  begin(): RequestTrace | undefined {
    this.#left -= 1;
    if (this.#left > 0) return undefined;
    this.#left = this.#draw();
    return new RequestTrace();
  }

  /** The number of requests up to the next one, as if a coin were tossed for each. */
  #draw(): number {
    const { sample, random } = this.#options;
    if (sample >= 1) return 1;
    return sample <= 0 ? Infinity : 1 + Math.floor(Math.log1p(-random()) / Math.log1p(-sample));
  }

  /**
   * The trace of a request whose head was read. A client that is trusted decides
   * itself whether its trace goes on here; what others say of one means nothing.
   */
  follow(trace: RequestTrace | undefined, head: RequestHead, client: Ip): RequestTrace | undefined {
    const parent = this.findParent(head, client);
    if (parent === undefined) return trace;
    if (!parent.isSampled) return undefined;
    const followed = new RequestTrace(parent);
    if (trace !== undefined) followed.stages.push(...trace.stages);
    return followed;
  }

  /** The span that a request of a trusted client belongs to; undefined for none. */
  findParent({ fields }: RequestHead, client: Ip): TraceParent | undefined {
    const { trustFrom } = this.#options;
    if (trustFrom === undefined || !fields.has(TRACEPARENT) || !trustFrom.has(client)) return undefined;
    const field = fields.getOne(TRACEPARENT);
    return field.kind === "one" ? parseTraceParent(field.value) : undefined;
  }
}
