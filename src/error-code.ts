/** The word in `code` of an error of the system or the runtime, such as `ENOENT`; undefined without one. */
export function readErrorCode(error: unknown): string | undefined {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** What went wrong, in a word where the error has a code, or in its own words. */
export function nameError(error: unknown): string {
  return readErrorCode(error) ?? (error instanceof Error ? error.message : String(error));
}

/** What becomes of work on a file; undefined where there is no such file. */
export async function ifPresent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (readErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
