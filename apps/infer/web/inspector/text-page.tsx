/** A pasted text: how hard each token was with and without f-grams, and which of them helped and hurt. */
import { useRef, useState } from 'preact/hooks';
import type { FgramEffect, TextReport } from '../../src/inspect/messages.js';
import { SelectField } from '../components/fields.js';
import { Figures } from '../components/figures.js';
import { formatCount, formatShare } from '../components/format.js';
import { DifferenceLegend, differenceShade, LossLegend, lossShade } from '../components/heat.js';
import { Problem } from '../components/shell.js';
import { Table } from '../components/table.js';
import { quoted, type ShownToken } from '../components/token.js';
import { TokenDetails } from '../components/token-details.js';
import { LengthLegend, TokenStrip } from '../components/token-strip.js';
import type { PageProps } from './app.js';
import { limitOf, limitOptions } from './fgram-limit.js';

const SHADES = {
  with: { name: 'Loss with f-grams', shadeOf: ({ loss }: ShownToken) => lossShade(loss), Legend: LossLegend },
  without: { name: 'Loss without', shadeOf: ({ lossWithout }: ShownToken) => lossShade(lossWithout), Legend: LossLegend },
  difference: { name: 'Difference', shadeOf: differenceShade, Legend: DifferenceLegend },
} as const;

export function TextPage({ api, status }: PageProps) {
  const [report, setReport] = useState<TextReport>();
  const [error, setError] = useState<unknown>();
  const [isReading, setReading] = useState(false);
  const running = useRef<AbortController>(undefined);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    setReading(true);
    setError(undefined);
    try {
      setReport(await api.text({ text: String(fields.get('text')), ...limitOf(String(fields.get('text-limit'))) }, own.signal));
    } catch (failure) {
      if (!own.signal.aborted) setError(failure);
    }
    if (running.current === own) setReading(false);
  };
  return (
    <>
      <h1>Text</h1>
      <p class="note">How hard each token of a text was for the model, with the f-grams and without.</p>
      <form onSubmit={submit}>
        <label for="text">A text whose tokens are scored</label>
        <textarea id="text" name="text" rows={5} required />
        <div class="fields">
          <SelectField name="text-limit" label="F-grams" options={limitOptions(status)} />
          <button type="submit" class="primary">
            Score
          </button>
          <span class="note" role="status">
            {isReading ? 'Reading…' : ''}
          </span>
        </div>
      </form>
      <Problem error={error} />
      {report !== undefined && <Report report={report} longest={status.model.fgrams?.maxLength} />}
    </>
  );
}

function Report({ report, longest }: { readonly report: TextReport; readonly longest: number | undefined }) {
  const [shading, setShading] = useState<keyof typeof SHADES>('with');
  const [active, setActive] = useState<number>();
  const { bitsPerByte, bitsPerByteWithout, hitRate, coverage, bytes, window, helped, hurt } = report;
  const tokens = report.tokens.slice(1);
  const { shadeOf, Legend } = SHADES[shading];
  return (
    <>
      <Figures
        figures={[
          { name: 'bits per byte', value: bitsPerByte.toFixed(3) },
          bitsPerByteWithout === undefined ? undefined : { name: 'without f-grams', value: bitsPerByteWithout.toFixed(3) },
          { name: 'tokens', value: formatCount(tokens.length) },
          { name: 'bytes', value: formatCount(bytes) },
          { name: 'where an f-gram ends', value: formatShare(hitRate) },
          { name: 'inside of an f-gram', value: formatShare(coverage) },
        ]}
      />
      {bitsPerByteWithout !== undefined && (
        <fieldset class="choices">
          <legend>Shown</legend>
          {Object.entries(SHADES).map(([value, { name }]) => (
            <label key={value}>
              <input
                type="radio"
                name="shading"
                value={value}
                checked={value === shading}
                onChange={() => setShading(value as typeof shading)}
              />{' '}
              {name}
            </label>
          ))}
        </fieldset>
      )}
      <div class="beside">
        <div>
          <Legend />
          {longest !== undefined && <LengthLegend longest={longest} />}
          <TokenStrip label="Tokens of the text" tokens={tokens} active={active} onActive={setActive} shadeOf={shadeOf} />
          {tokens.length >= window && (
            <p class="note">
              The text is cut into windows of {formatCount(window)} tokens, the context; each stands alone, as in evaluation.
            </p>
          )}
        </div>
        <aside aria-label="The token">
          <TokenDetails token={active === undefined ? undefined : tokens[active]} />
        </aside>
      </div>
      {bitsPerByteWithout !== undefined && (
        <div class="columns">
          <Effects name="Helped most" effects={helped} />
          <Effects name="Hurt most" effects={hurt} />
        </div>
      )}
    </>
  );
}

function Effects({ name, effects }: { readonly name: string; readonly effects: readonly FgramEffect[] }) {
  return (
    <section aria-label={name}>
      <h2>{name}</h2>
      {effects.length === 0 ? (
        <p class="note">None.</p>
      ) : (
        <Table
          caption={`${name}, by the next tokens’ loss in nats`}
          rows={effects}
          keyOf={({ fgram }) => fgram.rank}
          columns={[
            { head: 'f-gram', words: true, cell: ({ fgram }) => <span class="piece">{quoted(fgram.text)}</span> },
            { head: 'rank', cell: ({ fgram }) => formatCount(fgram.rank) },
            { head: 'places', cell: ({ uses }) => uses },
            { head: 'less loss', cell: ({ gain }) => `${gain < 0 ? '−' : '+'}${Math.abs(gain).toFixed(2)}` },
          ]}
        />
      )}
    </section>
  );
}
