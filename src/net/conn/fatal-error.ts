/**
 * Something that every connection needs is broken, and cannot be had again: the
 * process is to end with this message, so that whoever supervises it starts another.
 */
export class FatalError extends Error {
  override readonly name = "FatalError";
}
