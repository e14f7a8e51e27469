/** The queue: who runs, who waits, how far the slots are filled, now and in the last minutes. */
import { useEffect, useState } from 'preact/hooks';
import type { Status } from '../../src/inspect/messages.js';
import { Figures } from '../components/figures.js';
import { formatCount, formatShare } from '../components/format.js';
import { LineChart } from '../components/line-chart.js';
import { Problem } from '../components/shell.js';
import type { PageProps } from './app.js';
import { usePoll } from './use-poll.js';

/** Answers kept: five minutes. */
const KEPT = 300;

interface Moment {
  /** Seconds since the page was opened. */
  readonly at: number;
  readonly queue: Status['queue'];
}

export function QueuePage({ api, status, active }: PageProps) {
  const { value, error } = usePoll(api.status, active, 1000, [api]);
  const [moments, setMoments] = useState<readonly Moment[]>([]);
  useEffect(() => {
    if (value !== undefined) setMoments((before) => [...before, { at: performance.now() / 1000, queue: value.queue }].slice(-KEPT));
  }, [value]);
  const { queue } = value ?? status;
  const { running, waiting, slots, blocks, usedBlocks, prefixQueries, prefixHits } = queue;
  const line = (label: string, of: (queue: Status['queue']) => number) => ({
    label,
    points: moments.map(({ at, queue: then }) => [Math.round(at), of(then)] as const),
  });
  return (
    <>
      <h1>Queue</h1>
      <Problem error={error} />
      <Figures
        figures={[
          { name: 'running', value: `${running} of ${slots}` },
          { name: 'waiting', value: formatCount(waiting) },
          { name: 'cache in use', value: formatShare(usedBlocks / blocks) },
          { name: 'sent back to wait', value: formatCount(queue.preemptions) },
          { name: 'steps', value: formatCount(queue.steps) },
          { name: 'prompt tokens', value: formatCount(queue.promptTokens) },
          { name: 'generated tokens', value: formatCount(queue.generatedTokens) },
          { name: 'of prompts from the cache', value: prefixQueries === 0 ? '–' : formatShare(prefixHits / prefixQueries) },
          { name: 'tokens a second', value: rateOf(moments) },
        ]}
      />
      <LineChart
        title="Sequences"
        x="seconds since the page was opened"
        y="sequences"
        fromZero
        series={[line('running', (now) => now.running), line('waiting', (now) => now.waiting)]}
      />
    </>
  );
}

/** Of the last ten answers. */
function rateOf(moments: readonly Moment[]): string {
  const recent = moments.slice(-10);
  const [first, last] = [recent[0], recent.at(-1)];
  if (first === undefined || last === undefined || last.at === first.at) return '–';
  return ((last.queue.generatedTokens - first.queue.generatedTokens) / (last.at - first.at)).toFixed(1);
}
