/** One continuation: its tokens and what they cost. */
import { Figures } from '../components/figures.js';
import { formatLoss, formatShare } from '../components/format.js';
import { Problem } from '../components/shell.js';
import { TokenStrip } from '../components/token-strip.js';
import type { Generation } from './use-generation.js';

const ENDS: Readonly<Record<string, string>> = {
  stop: 'The model ended the text.',
  length: 'As many tokens as were asked for, or as the context holds.',
  stopped: 'Stopped.',
};

export interface LaneProps {
  readonly name: string;
  readonly generation: Generation;
  readonly active: number | undefined;
  readonly onActive: (index: number) => void;
}

export function Lane({ name, generation: { tokens, phase, reason = '', error }, active, onActive }: LaneProps) {
  const written = tokens.filter(({ given }) => given !== true);
  const total = written.reduce((sum, { loss = 0 }) => sum + loss, 0);
  const matched = written.filter(({ fgram }) => fgram !== undefined).length;
  return (
    <section aria-label={name}>
      <h2>{name[0].toUpperCase() + name.slice(1)}</h2>
      <TokenStrip label={`Tokens ${name}`} tokens={tokens} active={active} onActive={onActive} />
      <p class="note" role="status">
        {phase === 'writing' ? 'Writing…' : (ENDS[reason] ?? '')}
      </p>
      <Problem error={error} />
      {written.length > 0 && (
        <Figures
          figures={[
            { name: 'tokens', value: written.length },
            { name: 'loss, nats', value: formatLoss(total) },
            { name: 'loss a token', value: formatLoss(total / written.length) },
            { name: 'where an f-gram ends', value: formatShare(matched / written.length) },
          ]}
        />
      )}
    </section>
  );
}
