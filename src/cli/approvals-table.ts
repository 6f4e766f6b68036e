import type * as z from "zod";
import type { approvalsAnswer } from "../sidecar/approvals.ts";
import { fitCell, formatAge, writeLine } from "./table-text.ts";

type Listed = z.infer<typeof approvalsAnswer>;
type Cells = readonly string[];

/** Widths of the columns; with the spaces between them 80. */
const QUESTIONS = [
  { title: "ID", width: 8 },
  { title: "WHO", width: 18 },
  { title: "TARGET", width: 30 },
  { title: "RULE", width: 10 },
  { title: "AGE", width: 5, right: true },
  { title: "WAIT", width: 4, right: true },
] as const;

const ANSWERS = [
  { title: "ID", width: 8 },
  { title: "WHO", width: 18 },
  { title: "TARGET", width: 30 },
  { title: "ANSWER", width: 10 },
  { title: "LEFT", width: 5, right: true },
] as const;

/** Writes open questions for a person, in 80 columns. Ids are never cut, since they are typed. */
export function formatQuestions(open: Listed["approvals"], hasTitles = true): string {
  return write(
    QUESTIONS,
    open.map(({ id, user, client, target, rule, age_ms, waiting }) => [
      id,
      user ?? client,
      target,
      rule,
      formatAge(age_ms),
      String(waiting),
    ]),
    hasTitles,
  );
}

/** Writes the answers that hold for a time. */
export function formatAnswers(answers: Listed["answers"]): string {
  return write(
    ANSWERS,
    answers.map(({ id, user, client, target, allow, for: time, left_ms }) => [
      id,
      user ?? client,
      target,
      `${allow ? "allow" : "deny"} ${time}`,
      formatAge(left_ms),
    ]),
  );
}

type Columns = readonly { readonly title: string; readonly width: number; readonly right?: true }[];

function write(columns: Columns, rows: readonly Cells[], hasTitles = true): string {
  const titles = hasTitles ? [columns.map(({ title }) => title)] : [];
  return [...titles, ...rows]
    .map((cells) =>
      writeLine(
        columns
          .map(({ width, right }, at) => {
            const cell = cells[at] ?? "";
            return at === 0 ? cell.padEnd(width) : fitCell(cell, width, right ? "right" : "left");
          })
          .join(" "),
      ),
    )
    .join("");
}
