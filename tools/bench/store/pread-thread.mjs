/** One of the threads of the engine `pread-8`: takes rows of a batch until none is left. All of it is shared: ids, rows, and the count of those that are taken. */
import { readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

const { file, rowBytes, ids, rows, next } = workerData;
parentPort?.on('message', (/** @type {number} */ count) => {
  for (let i = Atomics.add(next, 0, 1); i < count; i = Atomics.add(next, 0, 1)) {
    for (let done = 0; done < rowBytes; ) done += readSync(file, rows, i * rowBytes + done, rowBytes - done, ids[i] * rowBytes + done);
  }
  parentPort?.postMessage('done');
});
