/** Two continuations, place by place. */
import { formatLoss } from '../components/format.js';
import { Table } from '../components/table.js';
import { quoted, type ShownToken } from '../components/token.js';
import type { Generation } from './use-generation.js';

interface Place {
  readonly place: number;
  readonly tokens: readonly (ShownToken | undefined)[];
}

const writtenOf = ({ tokens }: Generation) => tokens.filter(({ given }) => given !== true);
const textOf = (token: ShownToken | undefined) => (token === undefined ? '' : quoted(token.text));
const lossOf = (token: ShownToken | undefined) => (token?.loss === undefined ? '' : formatLoss(token.loss));

export function TokenByToken({ names, lanes }: { readonly names: readonly string[]; readonly lanes: readonly Generation[] }) {
  const written = lanes.map(writtenOf);
  const places: Place[] = Array.from({ length: Math.max(...written.map(({ length }) => length)) }, (_, i) => ({
    place: i + 1,
    tokens: written.map((tokens) => tokens[i]),
  }));
  const parting = places.findIndex(({ tokens: [one, other] }) => one !== undefined && other !== undefined && one.text !== other.text);
  if (places.length === 0) return null;
  return (
    <section aria-label="Token by token">
      <h2>Token by token</h2>
      <p class="note">{parting < 0 ? 'The same tokens so far.' : `They part at token ${parting + 1}.`}</p>
      <Table
        caption="Both continuations, with the loss of each token in nats"
        tall
        rows={places}
        keyOf={({ place }) => place}
        columns={[
          { head: 'token', cell: ({ place }) => place },
          ...names.flatMap((name, lane) => [
            { head: name, words: true, cell: ({ tokens }: Place) => <span class="piece">{textOf(tokens[lane])}</span> },
            { head: 'loss', cell: ({ tokens }: Place) => lossOf(tokens[lane]) },
          ]),
        ]}
      />
    </section>
  );
}
