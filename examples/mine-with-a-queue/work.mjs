/**
 * A worker: takes parts of the mining, and in the end the merging, from the queue. Start as many as you like on machines that share a folder;
 * one that is killed loses nothing: after half a minute its part goes to another worker, which goes on from the last finished range.
 *   node work.mjs [--server redis://127.0.0.1:6379] [--queue mining] [--memory-mib 1024]
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { mergeParts, minePart, openDataset } from '@sconelm/ngram-miner';
import { Worker } from 'bullmq';

const { values } = parseArgs({
  options: {
    server: { type: 'string', default: 'redis://127.0.0.1:6379' },
    queue: { type: 'string', default: 'mining' },
    'memory-mib': { type: 'string', default: '1024' },
  },
});

async function work({ name, data }) {
  const { dataset, directory, parts, part, maxLength, minCount, maxFgrams } = data;
  const folderOf = (i) => `${directory}.parts/${i}`;
  if (name === 'part') {
    const { train } = await openDataset(dataset);
    const memoryBytes = Number(values['memory-mib']) * 2 ** 20;
    await minePart(train.corpus, { part, parts, maxLength, minCount, memoryBytes, directory: folderOf(part) });
    console.log(`part ${part} of ${parts}`);
    return undefined;
  }
  const folders = Array.from({ length: parts }, (_, i) => folderOf(i + 1));
  const { size, hash } = await mergeParts(folders, { maxFgrams, directory });
  console.log(`${directory}: ${size} f-grams`);
  return { size, hash };
}

// One part at a time: it takes all cores of its machine.
const worker = new Worker(values.queue, work, { connection: { url: values.server, maxRetriesPerRequest: null }, concurrency: 1 });
worker.on('failed', (job, error) => console.error(`${job?.name ?? 'job'} ${job?.data.part ?? ''}: ${error.message}`));
worker.on('error', (error) => console.error(error.message));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => worker.close().then(() => process.exit(0)));
