/** Curves, samples and evaluations of the served run and of those beside it, several overlaid; those in training grow as one looks. */
import { useEffect, useState } from 'preact/hooks';
import type { RunList, RunPoint, RunReport } from '../../src/inspect/messages.js';
import { formatCount } from '../components/format.js';
import { LineChart } from '../components/line-chart.js';
import { Problem } from '../components/shell.js';
import { Table } from '../components/table.js';
import type { PageProps } from './app.js';
import { usePoll } from './use-poll.js';

const CURVES: readonly {
  readonly title: string;
  readonly y: string;
  readonly of: (point: RunPoint) => number | undefined;
  readonly format?: (value: number) => string;
}[] = [
  { title: 'Training loss', y: 'nats per token', of: ({ loss }) => loss },
  { title: 'Held-out loss', y: 'nats per token', of: ({ heldoutLoss }) => heldoutLoss },
  { title: 'Norm of gradients', y: 'before clipping', of: ({ gradientNorm }) => gradientNorm },
  { title: 'Learning rate', y: 'of the step', of: ({ rate }) => rate, format: (value) => (value === 0 ? '0' : value.toExponential(1)) },
];

export function RunPage({ api, active }: PageProps) {
  const [list, setList] = useState<RunList>();
  const [failure, setFailure] = useState<unknown>();
  const [chosen, setChosen] = useState<readonly string[]>([]);
  useEffect(() => {
    if (!active) return;
    api.runs().then((found) => {
      setList(found);
      setChosen((before) => (before.length > 0 ? before : found.runs.filter(({ served }) => served).map(({ name }) => name)));
    }, setFailure);
  }, [api, active]);
  const { value: reports = [], error } = usePoll(() => Promise.all(chosen.map(api.run)), active, 2000, [chosen.join('\n')]);
  const choose = (name: string, isChosen: boolean) =>
    setChosen((before) => [...before.filter((one) => one !== name), ...(isChosen ? [name] : [])]);
  return (
    <>
      <h1>Runs</h1>
      <Problem error={failure ?? error} />
      {list?.runs.length === 0 && <p>A pretrained model has no run: it was not trained here.</p>}
      {list !== undefined && list.runs.length > 0 && (
        <fieldset class="choices">
          <legend>Overlaid</legend>
          {list.runs.map(({ name, served }) => (
            <label key={name}>
              <input type="checkbox" checked={chosen.includes(name)} onChange={(event) => choose(name, event.currentTarget.checked)} />{' '}
              {name}
              {served ? ' (served)' : ''}
            </label>
          ))}
        </fieldset>
      )}
      {reports.length > 0 && <Reports reports={reports} />}
    </>
  );
}

function Reports({ reports }: { readonly reports: readonly RunReport[] }) {
  const curves = CURVES.flatMap(({ of, ...chart }) => {
    const series = reports.flatMap(({ name, points }) => {
      const drawn = points.flatMap((point): [number, number][] => {
        const value = of(point);
        return value === undefined ? [] : [[point.tokens, value]];
      });
      return drawn.length === 0 ? [] : [{ label: name, points: drawn }];
    });
    return series.length === 0 ? [] : [{ ...chart, series }];
  });
  const evaluated = reports.flatMap(({ name, evaluation }) => (evaluation === undefined ? [] : [{ name, evaluation }]));
  return (
    <>
      <p class="note" role="status">
        {reports.map(({ name, points }) => `${name}: ${lastOf(points)}`).join('; ')}
      </p>
      {curves.length === 0 ? (
        <p class="note">No curves: the run has no metrics.jsonl.</p>
      ) : (
        <div class="columns">
          {curves.map((curve) => (
            <LineChart key={curve.title} x="training tokens" {...curve} />
          ))}
        </div>
      )}
      {evaluated.length > 0 && (
        <>
          <h2>Evaluation</h2>
          <Table
            caption="On held-out text"
            rows={evaluated}
            keyOf={({ name }) => name}
            columns={[
              { head: 'run', words: true, cell: ({ name }) => name },
              { head: 'perplexity', cell: ({ evaluation }) => evaluation.perplexity.toFixed(2) },
              { head: 'loss', cell: ({ evaluation }) => evaluation.loss.toFixed(3) },
              { head: 'bits per byte', cell: ({ evaluation }) => evaluation.bitsPerByte.toFixed(3) },
              { head: 'tokens', cell: ({ evaluation }) => formatCount(evaluation.tokens) },
            ]}
          />
        </>
      )}
      {reports.map((report) => report.samples.length > 0 && <Samples key={report.name} {...report} />)}
    </>
  );
}

const lastOf = (points: readonly RunPoint[]) => {
  const last = points.at(-1);
  return last === undefined ? 'no steps yet' : `step ${formatCount(last.step)}, ${formatCount(last.tokens)} tokens`;
};

/** A run's samples over time; the newest unless another is chosen. */
function Samples({ name, samples }: RunReport) {
  const [chosen, setChosen] = useState<number>();
  const at = Math.min(chosen ?? samples.length - 1, samples.length - 1);
  const id = `sample-${name}`;
  return (
    <section aria-label={`Samples of ${name}`}>
      <h2>Samples of {name}</h2>
      <div class="field">
        <label for={id}>
          After step {formatCount(samples[at].step)}, {at + 1} of {samples.length}
        </label>
        <input
          id={id}
          type="range"
          min={0}
          max={samples.length - 1}
          value={at}
          onInput={(event) => setChosen(Number(event.currentTarget.value))}
        />
      </div>
      <p class="sample">{samples[at].text}</p>
    </section>
  );
}
