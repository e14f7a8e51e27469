/** The f-gram set: what it is made of, how much of held-out text it covers, and its f-grams by rank or by a text that they hold. */
import { useEffect, useState } from 'preact/hooks';
import type { FgramSummary, InspectedFgram } from '../../src/inspect/messages.js';
import { Bars } from '../components/bars.js';
import { NumberField } from '../components/fields.js';
import { Figures } from '../components/figures.js';
import { formatCount, formatShare } from '../components/format.js';
import { LineChart } from '../components/line-chart.js';
import { Problem } from '../components/shell.js';
import { Table } from '../components/table.js';
import { quoted } from '../components/token.js';
import type { PageProps } from './app.js';

export function FgramsPage({ api, status, active }: PageProps) {
  const [summary, setSummary] = useState<FgramSummary>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    if (active && summary === undefined && status.model.fgrams !== undefined) api.fgramSummary().then(setSummary, setError);
  }, [api, active]);
  return (
    <>
      <h1>F-grams</h1>
      {status.model.fgrams === undefined && <p>This model is a plain decoder: it looks nothing up.</p>}
      <Problem error={error} />
      {summary !== undefined && (
        <>
          <Summary summary={summary} />
          <Search api={api} size={summary.size} />
        </>
      )}
    </>
  );
}

function Summary({ summary }: { readonly summary: FgramSummary }) {
  const { size, maxLength, minCount, lastCount, byLength, countByRank, heldout, hash } = summary;
  const positions = Object.values(heldout ?? {}).reduce((sum, count) => sum + count, 0);
  return (
    <>
      <Figures
        figures={[
          { name: 'f-grams', value: formatCount(size) },
          { name: 'longest, tokens', value: maxLength },
          { name: 'cut-off count', value: formatCount(minCount) },
          { name: 'count of the last rank', value: formatCount(lastCount) },
          heldout === undefined
            ? undefined
            : { name: 'of held-out places covered', value: formatShare(1 - (heldout['1'] ?? 0) / positions) },
          { name: 'hash', value: <span class="mono">{hash.slice(0, 12)}</span> },
        ]}
      />
      <div class="columns">
        <div>
          <Bars
            caption="F-grams by their length"
            head={['tokens', 'f-grams']}
            bars={Object.entries(byLength).map(([length, count]) => ({ label: length, value: count, shown: formatCount(count) }))}
          />
          {heldout !== undefined && (
            <Bars
              caption="Held-out places by the longest f-gram that ends there"
              head={['tokens', 'places']}
              bars={Object.entries(heldout).map(([length, count]) => ({
                label: length === '1' ? 'none' : length,
                value: count,
                shown: formatShare(count / positions),
              }))}
            />
          )}
        </div>
        <LineChart
          title="Count by rank"
          x="rank"
          y="occurrences in the corpus"
          log
          series={[{ label: 'count', points: countByRank.map(({ rank, count }) => [rank, count] as const) }]}
        />
      </div>
    </>
  );
}

interface Found {
  readonly text: string;
  readonly fgrams: readonly InspectedFgram[];
  readonly exact: readonly InspectedFgram[];
  readonly lastRank: number;
  readonly isWhole: boolean;
}

function Search({ api, size }: { readonly api: PageProps['api']; readonly size: number }) {
  const [found, setFound] = useState<Found>();
  const [error, setError] = useState<unknown>();
  const look = async (text: string, fromRank: number, before: readonly InspectedFgram[]) => {
    setError(undefined);
    try {
      const page = await api.fgrams({ text, from_rank: fromRank });
      setFound({ ...page, text, fgrams: [...before, ...page.fgrams] });
    } catch (failure) {
      setError(failure);
    }
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    void look(String(fields.get('search')), Number(fields.get('rank')), []);
  };
  return (
    <section aria-label="Search">
      <h2>Search</h2>
      <form onSubmit={submit}>
        <div class="fields">
          <span class="field">
            <label for="search">Text that they hold</label>
            <input id="search" name="search" type="search" maxLength={1000} autocomplete="off" />
          </span>
          <NumberField name="rank" label="From rank" value={1} min={1} max={Math.max(1, size)} step={1} />
          <button type="submit" class="primary">
            Look
          </button>
        </div>
      </form>
      <Problem error={error} />
      {found !== undefined && (
        <>
          <p role="status">{wordsOf(found, size)}</p>
          {found.fgrams.length > 0 && <FgramTable fgrams={found.fgrams} />}
          {!found.isWhole && (
            <button type="button" class="more" onClick={() => look(found.text, found.lastRank + 1, found.fgrams)}>
              Go on from rank {formatCount(found.lastRank + 1)}
            </button>
          )}
        </>
      )}
    </section>
  );
}

function wordsOf({ text, fgrams, exact, lastRank }: Found, size: number): string {
  const seen = `${formatCount(fgrams.length)} found among the first ${formatCount(lastRank)} of ${formatCount(size)} ranks.`;
  if (text === '') return seen;
  if (exact.length === 0) return `${quoted(text)} itself is no f-gram. ${seen}`;
  return `${exact.map((fgram) => `${quoted(fgram.text)} is rank ${formatCount(fgram.rank)}, ${formatCount(fgram.count)} times.`).join(' ')} ${seen}`;
}

function FgramTable({ fgrams }: { readonly fgrams: readonly InspectedFgram[] }) {
  return (
    <Table
      tall
      caption="F-grams by rank"
      rows={fgrams}
      keyOf={({ rank }) => rank}
      columns={[
        { head: 'rank', cell: ({ rank }) => formatCount(rank) },
        { head: 'f-gram', words: true, cell: ({ text }) => <span class="piece">{quoted(text)}</span> },
        { head: 'tokens', cell: ({ length }) => length },
        { head: 'count', cell: ({ count }) => formatCount(count) },
      ]}
    />
  );
}
