/** What a code of SQLite or of the system means, as the rest of a sentence. */
export function describeUsageFault(code: string): string {
  for (const [known, meaning] of meanings) if (code === known || code.startsWith(`${known}_`)) return meaning;
  return `the system says ${code}`;
}

/** Codes and their beginnings. The more exact ones first. */
const meanings: readonly (readonly [code: string, meaning: string])[] = [
  ["SQLITE_FULL", "the disk is full"],
  ["SQLITE_IOERR_SHMSIZE", "the disk is full"],
  ["ENOSPC", "the disk is full"],
  ["EDQUOT", "the disk quota of its user is used up"],
  ["SQLITE_READONLY", "it is read-only"],
  ["EROFS", "the file system is read-only"],
  ["SQLITE_BUSY", "another program has locked it"],
  ["SQLITE_LOCKED", "another program has locked it"],
  ["SQLITE_CANTOPEN", "it cannot be opened"],
  ["EACCES", "the system does not allow it"],
  ["EPERM", "the system does not allow it"],
  ["ENOENT", "its folder is not there"],
  ["SQLITE_CORRUPT", "it is damaged"],
  ["SQLITE_NOTADB", "it is no database"],
  ["SQLITE_IOERR", "the disk reports an error"],
  ["stuck", "the disk does not answer"],
  ["thread", "the thread that writes it has ended"],
];

const damage: readonly string[] = ["SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT"];

/** Whether a code says that the file is damaged. */
export function isCorruption(code: string): boolean {
  return damage.some((known) => code === known || code.startsWith(`${known}_`));
}
