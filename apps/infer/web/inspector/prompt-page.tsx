/** A prompt goes on, once or twice side by side, each token with what stood in for it. */
import { useState } from 'preact/hooks';
import { NumberField, SelectField } from '../components/fields.js';
import { TokenDetails } from '../components/token-details.js';
import { LengthLegend } from '../components/token-strip.js';
import type { PageProps } from './app.js';
import { limitName, limitOf, limitOptions } from './fgram-limit.js';
import { Lane } from './lane.js';
import { TokenByToken } from './token-by-token.js';
import { useGeneration } from './use-generation.js';

const NOTHING = 'nothing';

export function PromptPage({ api, status }: PageProps) {
  const first = useGeneration(api);
  const second = useGeneration(api);
  const [names, setNames] = useState<readonly string[]>([]);
  const [active, setActive] = useState<{ readonly lane: number; readonly index: number }>();
  const { contextLength, fgrams } = status.model;
  const limits = limitOptions(status);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const [limit, other] = [String(fields.get('limit')), String(fields.get('other'))];
    const asked = {
      prompt: String(fields.get('prompt')),
      max_tokens: Number(fields.get('tokens')),
      temperature: Number(fields.get('temperature')),
      seed: Number(fields.get('seed')),
    };
    setActive(undefined);
    setNames([limit, ...(other === NOTHING ? [] : [other])].map(limitName));
    first.start({ ...asked, ...limitOf(limit) });
    if (other === NOTHING) second.clear();
    else second.start({ ...asked, ...limitOf(other) });
  };
  const lanes = [first, second].slice(0, names.length).map(({ generation }) => generation);
  const isWriting = lanes.some(({ phase }) => phase === 'writing');
  const stop = () => {
    first.stop();
    second.stop();
  };
  return (
    <>
      <h1>Prompt</h1>
      <p class="note">
        Where an f-gram ends, its row stood in for the token: a bar below it for each token that the f-gram joins to it. What you write
        stays in this page.
      </p>
      <form onSubmit={submit}>
        <label for="prompt">What the model goes on from</label>
        <textarea id="prompt" name="prompt" rows={3} placeholder="The people of the United States" />
        <div class="fields">
          <NumberField name="tokens" label="Tokens" value={Math.min(60, contextLength - 1)} min={1} max={contextLength - 1} step={1} />
          <NumberField name="temperature" label="Temperature" value={0.8} min={0} max={100} step="any" />
          <NumberField name="seed" label="Seed" value={0} min={0} max={2 ** 32 - 1} step={1} />
          <SelectField name="limit" label="F-grams" options={limits} />
          <SelectField name="other" label="Compared with" options={[{ value: NOTHING, text: 'nothing' }, ...[...limits].reverse()]} />
          <button type="submit" class="primary">
            Write
          </button>
          <button type="button" disabled={!isWriting} onClick={stop}>
            Stop
          </button>
        </div>
      </form>
      {lanes.length > 0 && (
        <div class="beside">
          <div>
            {fgrams !== undefined && <LengthLegend longest={fgrams.maxLength} />}
            <div class="lanes">
              {lanes.map((generation, lane) => (
                <Lane
                  key={lane}
                  name={names[lane]}
                  generation={generation}
                  active={active?.index}
                  onActive={(index) => setActive({ lane, index })}
                />
              ))}
            </div>
          </div>
          <aside aria-label="The token">
            <TokenDetails token={active && lanes[active.lane]?.tokens[active.index]} />
          </aside>
        </div>
      )}
      {lanes.length === 2 && <TokenByToken names={names} lanes={lanes} />}
    </>
  );
}
