import type { FieldEdits } from "../../protocol/http1/edit-fields.ts";

/** What a rule changes in forwarded requests. */
export interface RequestEdits {
  readonly fields: FieldEdits;
  /** It adds values to the request. They are for TLS, unless `allowPlain`. */
  readonly adds: boolean;
  readonly allowPlain: boolean;
  /** The same without the values that it adds, for requests that are let through only because a refusal is reported. */
  readonly withoutAdded: RequestEdits;
  /** For people, without any value: `sets authorization`. */
  readonly description: string;
}

/** What a rule changes in responses to forwarded requests. */
export interface ResponseEdits {
  /** For final responses and 101. */
  readonly fields: FieldEdits;
  /** For the other informational responses: nothing is set there. */
  readonly interim: FieldEdits;
  readonly description: string;
}
