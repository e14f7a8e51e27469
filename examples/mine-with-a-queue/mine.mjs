/**
 * Puts the mining of a dataset into the queue, in parts, with the merging as the job that waits for all of them; ends when the set is there.
 *   node mine.mjs --dataset /shared/data --directory /shared/fgrams --parts 8 [--max-length 5] [--min-count 5] [--max-fgrams 1000000]
 */
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { FlowProducer, QueueEvents } from 'bullmq';

const { values } = parseArgs({
  options: {
    dataset: { type: 'string' },
    directory: { type: 'string' },
    parts: { type: 'string', default: '4' },
    'max-length': { type: 'string', default: '5' },
    'min-count': { type: 'string', default: '5' },
    'max-fgrams': { type: 'string', default: '1000000' },
    server: { type: 'string', default: 'redis://127.0.0.1:6379' },
    queue: { type: 'string', default: 'mining' },
  },
});
if (values.dataset === undefined || values.directory === undefined) {
  console.error('usage: node mine.mjs --dataset FOLDER --directory FOLDER [--parts 4]');
  process.exit(2);
}
const parts = Number(values.parts);
const data = {
  dataset: path.resolve(values.dataset),
  directory: path.resolve(values.directory),
  parts,
  maxLength: Number(values['max-length']),
  minCount: Number(values['min-count']),
  maxFgrams: Number(values['max-fgrams']),
};
const connection = { url: values.server, maxRetriesPerRequest: null };
const events = new QueueEvents(values.queue, { connection });
await events.waitUntilReady();
const flow = new FlowProducer({ connection });
const { job } = await flow.add({
  name: 'merge',
  queueName: values.queue,
  data,
  children: Array.from({ length: parts }, (_, i) => ({
    name: 'part',
    queueName: values.queue,
    data: { ...data, part: i + 1 },
    opts: { attempts: 3, failParentOnFailure: true },
  })),
});
try {
  const { size, hash } = await job.waitUntilFinished(events);
  console.log(JSON.stringify({ directory: data.directory, parts, size, hash }));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
await Promise.all([flow.close(), events.close()]);
