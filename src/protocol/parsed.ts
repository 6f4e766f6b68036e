/**
 * What every parser in `protocol/` returns for the bytes it was given so far.
 *
 * - `more`: a valid beginning; call again with more bytes (the same ones first).
 * - `done`: `value`, made of the first `used` bytes. The caller owns the rest.
 * - `bad`: never valid whatever follows. `code` is a closed word of that parser, `at` the offset of the first offending byte.
 */
export type Parsed<T, Code extends string = string> =
  | { readonly kind: "more" }
  | { readonly kind: "done"; readonly value: T; readonly used: number }
  | { readonly kind: "bad"; readonly code: Code; readonly at: number };
