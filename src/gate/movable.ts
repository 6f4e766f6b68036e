import type { JsonValue } from "../protocol/handover/json-value.ts";

/** A connection or tunnel on its way to another process: its state as JSON, and its descriptors in the order in which the state speaks of them. */
export interface Movable {
  readonly state: JsonValue;
  readonly descriptors: readonly number[];
}
