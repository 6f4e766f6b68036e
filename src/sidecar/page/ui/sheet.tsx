import type { ComponentChildren } from "preact";

interface Column<T> {
  readonly title: string;
  readonly isNumber?: boolean;
  readonly read: (row: T) => ComponentChildren;
}

interface SheetProps<T> {
  /** What a screen reader calls it. */
  readonly label: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly keyOf: (row: T) => string;
}

/** A table of few rows. On a narrow screen each row is a card with the titles beside the values. */
export function Sheet<T>({ label, rows, columns, keyOf }: SheetProps<T>) {
  return (
    // Roles are told again: a table that is laid out as cards loses them in some browsers.
    <table class="sheet" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ title, isNumber }) => (
            <th key={title} role="columnheader" scope="col" class={isNumber === true ? "number" : ""}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row">
            {columns.map(({ title, isNumber, read }) => (
              <td key={title} role="cell" data-title={title} class={isNumber === true ? "number" : ""}>
                {read(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
