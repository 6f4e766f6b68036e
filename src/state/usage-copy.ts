import { readFileSync } from "node:fs";
import { readErrorCode } from "../error-code.ts";
import { writeDurablySync } from "./durable-file.ts";

/** What one user used in one day: the user, the day, bytes up and down, requests. */
export type UseRow = readonly [user: string, day: number, up: number, down: number, requests: number];

/** The name of the copy beside the file of use. */
export function nameCopy(path: string): string {
  return `${path}.copy`;
}

/** Writes rows beside the file of use: a line with their hash, then their JSON. It is whole or not there. */
export function writeUsageCopy(path: string, rows: readonly UseRow[]): void {
  const text = JSON.stringify(rows);
  writeDurablySync(nameCopy(path), `${hash(text)}\n${text}\n`);
}

/** The rows of the copy; undefined when there is none. */
export function readUsageCopy(path: string): UseRow[] | "damaged" | undefined {
  const written = readIfThere(nameCopy(path));
  if (written === undefined) return undefined;
  const end = written.indexOf("\n");
  const text = written.slice(end + 1, -1);
  if (end < 0 || hash(text) !== written.slice(0, end)) return "damaged";
  const rows: unknown = JSON.parse(text);
  return Array.isArray(rows) && rows.every(isUseRow) ? rows : "damaged";
}

function isUseRow(row: unknown): row is UseRow {
  if (!Array.isArray(row)) return false;
  const [user, ...counts] = row as readonly unknown[];
  return typeof user === "string" && counts.length === 4 && counts.every(Number.isSafeInteger);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (readErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function hash(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
