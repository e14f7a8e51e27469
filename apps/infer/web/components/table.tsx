/** A table that scrolls sideways, by keyboard too, where it is wider than its place. */
import type { ComponentChildren } from 'preact';

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Text, which is set to the left; numbers stand to the right. */
  readonly words?: boolean;
}

export interface TableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string | number;
  /** Scrolls where it is long. */
  readonly tall?: boolean;
}

/** The first column names the row. */
export function Table<Row>({ caption, columns, rows, keyOf, tall = false }: TableProps<Row>) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls by keyboard
    <section class={tall ? 'scroll tall' : 'scroll'} tabIndex={0} aria-label={caption}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ head, words }, i) => (
              <th key={i} scope="col" class={words ? 'words' : undefined}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ cell, words }, i) =>
                i === 0 ? (
                  <th key={i} scope="row" class={words ? 'words' : undefined}>
                    {cell(row)}
                  </th>
                ) : (
                  <td key={i} class={words ? 'words' : undefined}>
                    {cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
