import {
  CONNECTION,
  encodeLower,
  END_TO_END,
  findFieldIdOf,
  hasFlag,
  HOP_BY_HOP,
  maskOf,
  NEVER_NOMINATED,
  NOT_IN_TRAILERS,
} from "./field-names.ts";
import { getTokens } from "./field-lists.ts";
import { foldName } from "./edit-fields.ts";
import { encodeFields, type Fields } from "./fields.ts";

/**
 * Why a message's hop-by-hop fields cannot be told from the others.
 *
 * - `bad_connection`: Connection is no list, or one of more than 256 elements.
 * - `connection_names_framing`: Connection nominates Content-Length or Host. A
 *   proxy that obeyed would make another message of it, with another end or for
 *   somebody else, and one before us may have.
 */
export type HopByHopError = "bad_connection" | "connection_names_framing";

export type HopByHopResult =
  { readonly kind: "done"; readonly fields: Fields } | { readonly kind: "bad"; readonly code: HopByHopError };

const hopByHop = maskOf(HOP_BY_HOP);
const close = encodeLower("close");
const keepAlive = encodeLower("keep-alive");

/**
 * Gives the fields that go on to the next hop (RFC 9110 §7.6.1): all but the
 * hop-by-hop ones, those that Connection nominates, and those with a bit in
 * `dropped`. They are exact. Content-Length stays; Transfer-Encoding, TE and
 * Upgrade go, and whoever forwards says them anew. Trailer stays, since trailers
 * are passed on.
 */
export function stripHopByHop(fields: Fields, dropped = 0): HopByHopResult {
  const nominated = fields.has(CONNECTION) ? readNominated(fields) : NOBODY;
  if (typeof nominated === "string") return { kind: "bad", code: nominated };
  const left = fields.without(hopByHop | dropped);
  const kept =
    nominated.length === 0
      ? left
      : left.select((id, index) => hasFlag(id, END_TO_END) || !nominated.includes(left.nameAt(index).toLowerCase()));
  return { kind: "done", fields: kept.exact ? kept : encodeFields([...kept]) };
}

const NOBODY: readonly string[] = [];

/** Gives the names that Connection nominates, in lower case: those of known options are among them and name no field. */
function readNominated(fields: Fields): readonly string[] | HopByHopError {
  const first = fields.find(CONNECTION);
  // What most messages say nominates nothing that would go on anyway.
  const isUsual = fields.isValueAt(first, keepAlive) || fields.isValueAt(first, close);
  if (isUsual && fields.isOnce(CONNECTION)) return NOBODY;
  const options = getTokens(fields, CONNECTION);
  if (options === undefined) return "bad_connection";
  return options.some((option) => hasFlag(findFieldIdOf(option), NEVER_NOMINATED))
    ? "connection_names_framing"
    : options;
}

/**
 * Gives the trailer fields that may be passed on; the others are dropped, as RFC 9110 §6.5.1 allows, and those that are
 * withheld from the fields of the message (by `foldName`): some receivers merge both.
 */
export function stripTrailers(trailers: Fields, withheld?: ReadonlySet<string>): Fields {
  return trailers.select(
    (id, index) => !hasFlag(id, NOT_IN_TRAILERS) && withheld?.has(foldName(trailers.nameAt(index))) !== true,
  );
}
