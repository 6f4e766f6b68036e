import { isRecord, readRecord } from "../config/plain-data.ts";
import { asText, measureCell, padCell, writeLine } from "./table-text.ts";
import { formatBytes } from "../proxy/record/access-line.ts";

type Row = Readonly<Record<string, unknown>>;

/** Columns; with the spaces between them 80 at most. */
const NAME_WIDTH = 24;
const COLUMNS = [
  { title: "OPEN", width: 5 },
  { title: "UP/S", width: 9 },
  { title: "DOWN/S", width: 9 },
  { title: "TODAY", width: 9 },
  { title: "MONTH", width: 9 },
  { title: "REQUESTS", width: 8 },
] as const;

/** Writes what was used for a person, in 80 columns. */
export function formatUsage(report: Row): string {
  const { by, since, day, kept } = report;
  const rows = Array.isArray(report["usage"]) ? report["usage"].filter(isRecord) : [];
  const isOlder = since !== day;
  const titles = COLUMNS.map(({ title }) => (title === "TODAY" && isOlder ? "SINCE" : title));
  const others = readRecord(report["others"]);
  return [
    ...(isOlder ? [writeLine(`Since ${asText(since)}:`)] : []),
    writeLine(writeCells(asText(by).toUpperCase(), titles)),
    ...rows.flatMap((row) => formatRow(asText(row[asText(by)]), row, isOlder)),
    ...(others["number"] === 0 || others["number"] === undefined
      ? []
      : [
          writeLine(
            writeCells(`${asText(others["number"])} others`, [
              "",
              "",
              "",
              sumBytes(others),
              "",
              asText(others["requests"]),
            ]),
          ),
        ]),
    ...(typeof kept === "string" ? [writeLine(`Warning: the use of users is not kept: ${kept}.`)] : []),
  ].join("");
}

function formatRow(name: string, row: Row, isOlder: boolean): string[] {
  const rate = readRecord(row["rate"]);
  const shown = readRecord(row[isOlder ? "since" : "today"]);
  const cells = [
    asText(row["open"]),
    formatSize(rate["up"]),
    formatSize(rate["down"]),
    sumBytes(shown),
    sumBytes(readRecord(row["month"])),
    asText(shown["requests"]),
  ];
  const notes = listNotes(row);
  return [writeLine(writeCells(name, cells)), ...(notes === "" ? [] : [writeLine(`    ${notes}`)])];
}

/** What is left of quotas, and what limits refused. */
function listNotes(row: Row): string {
  const quota = readRecord(row["quota"]);
  const left = (["day", "month"] as const).flatMap((span) => {
    const { left: bytes, limit } = readRecord(quota[span]);
    return limit === undefined ? [] : [`${span}: ${formatSize(bytes)} of ${formatSize(limit)} left`];
  });
  const refused = Object.entries(readRecord(row["refused"])).map(
    ([limit, number]) => `${asText(number)} refused by ${limit}`,
  );
  return [...left, ...refused].join(", ");
}

function sumBytes({ up, down }: Row): string {
  return typeof up === "number" && typeof down === "number" ? formatBytes(up + down) : "";
}

function formatSize(bytes: unknown): string {
  return typeof bytes === "number" ? formatBytes(bytes) : "";
}

/** A name that is too long has a line of its own. */
function writeCells(name: string, cells: readonly string[]): string {
  const tail = cells.map((cell, at) => cell.padStart(COLUMNS[at]?.width ?? 0)).join(" ");
  return measureCell(name) > NAME_WIDTH
    ? `${name}\n${"".padEnd(NAME_WIDTH)} ${tail}`
    : `${padCell(name, NAME_WIDTH)} ${tail}`;
}
