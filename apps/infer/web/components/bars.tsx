/** Amounts by name, as bars in a table: they can be read as well as seen. */

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** The value in words. */
  readonly shown: string;
}

export function Bars({
  caption,
  head,
  bars,
}: {
  readonly caption: string;
  readonly head: readonly [string, string];
  readonly bars: readonly Bar[];
}) {
  const most = bars.reduce((largest, { value }) => Math.max(largest, value), 0) || 1;
  return (
    <table class="bars">
      <caption>{caption}</caption>
      <thead>
        <tr>
          <th scope="col">{head[0]}</th>
          <th scope="col">{head[1]}</th>
        </tr>
      </thead>
      <tbody>
        {bars.map(({ label, value, shown }) => (
          <tr key={label}>
            <th scope="row">{label}</th>
            <td>
              <span class="amount">
                <span>{shown}</span>
                <span class="line-bar" style={{ inlineSize: `${(100 * value) / most}%` }} />
              </span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
