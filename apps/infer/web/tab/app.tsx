/** The page: load the model, write with it, see what was looked up and what it cost to load. */
import { useEffect, useState } from 'preact/hooks';
import { formatBytes, formatCount } from '../components/format.js';
import { TokenDetails } from '../components/token-details.js';
import { LengthLegend, TokenStrip } from '../components/token-strip.js';
import { Counter } from './counter.js';
import { FailureNote } from './failure-note.js';
import type { Failure } from './messages.js';
import { PromptForm } from './prompt-form.js';
import { type State, useSession } from './session.js';

export function App() {
  const { state, load, generate, stop, unload, reload } = useSession();
  const { phase, manifest, wanted, loaded, failure, adapter, uncached } = state;
  useEffect(() => {
    if (manifest !== undefined) document.title = manifest.name;
  }, [manifest]);
  if (manifest === undefined) {
    return (
      <>
        <h1>A model in the tab</h1>
        {failure === undefined ? <p>Looking for the model…</p> : <FailureNote failure={failure} />}
      </>
    );
  }
  const isLoaded = phase === 'ready' || phase === 'writing';
  return (
    <>
      <h1>{manifest.name}</h1>
      <p>{describe(manifest)}</p>
      {failure !== undefined && <FailureNote failure={failure} />}
      {phase === 'found' && !('gpu' in navigator) && <FailureNote failure={NO_WEBGPU} />}
      {phase === 'found' && 'gpu' in navigator && (
        <p>
          <button type="button" class="primary" onClick={load}>
            Load the model, {formatBytes(wanted)}
          </button>
        </p>
      )}
      {phase === 'loading' && (
        <p>
          <label>
            Loading {formatBytes(loaded)} of {formatBytes(wanted)} <progress value={loaded} max={wanted} />
          </label>
        </p>
      )}
      {(phase === 'lost' || phase === 'failed') && (
        <p>
          <button type="button" class="primary" onClick={reload}>
            Load the model again
          </button>
        </p>
      )}
      {isLoaded && (
        <>
          <PromptForm
            contextLength={manifest.decoder.contextLength}
            busy={phase === 'writing'}
            onGenerate={generate}
            onStop={stop}
            onUnload={unload}
          />
          <Counter state={state} />
          <p class="note">
            Runs on {adapter}. {uncached !== undefined && `The model is not kept for your next visit: ${uncached}.`}
          </p>
          <Text state={state} />
        </>
      )}
    </>
  );
}

const NO_WEBGPU: Failure = { code: 'DEVICE_NO_WEBGPU', message: 'This browser gives this page no WebGPU.' };

function describe({ decoder, fgrams, weights }: NonNullable<State['manifest']>): string {
  const { layers, width, contextLength } = decoder;
  const model = `A decoder of ${layers} layers, width ${width}, context ${formatCount(contextLength)}, weights in ${weights}.`;
  const table =
    fgrams === undefined
      ? ''
      : ` ${formatCount(fgrams.rows)} f-grams have rows in a table of ${formatBytes(fgrams.rows * fgrams.rowBytes)}, which stays on the server: a few rows are read for each token.`;
  return `${model}${table} All of it runs in this tab; what you type stays here.`;
}

function Text({ state: { tokens, end, phase } }: { readonly state: State }) {
  const [active, setActive] = useState<number>();
  if (tokens.length === 0) return null;
  const longest = tokens.reduce((most, { fgram }) => Math.max(most, fgram?.length ?? 1), 1);
  return (
    <section aria-labelledby="text">
      <h2 id="text">Text</h2>
      <LengthLegend longest={longest} />
      <div class="beside">
        <div>
          <TokenStrip label="Tokens of the text" tokens={tokens} active={active} onActive={setActive} />
          <p class="note" role="status">
            {phase === 'writing' ? 'Writing…' : end === undefined ? '' : ENDS[end]}
          </p>
        </div>
        <aside aria-label="The token">
          <TokenDetails token={active === undefined ? undefined : tokens[active]} />
        </aside>
      </div>
    </section>
  );
}

const ENDS = { stop: 'The model ended the text.', length: 'As many tokens as were asked for.', stopped: 'Stopped.' };
