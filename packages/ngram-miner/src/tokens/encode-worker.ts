/** The thread that encodes units, one after the other, as they are sent. */
import { parentPort, workerData } from 'node:worker_threads';
import { Tokenizer } from '../tokenizer/tokenizer.js';
import { type DocumentAtHand, type EncodeProgress, encodeUnit } from './encode-unit.js';
import type { EncodeSettings } from './part.js';
import type { Unit } from './units.js';

export interface EncodeWorkerData {
  /** tokenizer.json */
  readonly tokenizer: string;
  readonly settings: EncodeSettings;
}

/** An error in the parts that outlive the way between threads. */
export interface FailureReport {
  readonly code?: string;
  readonly message: string;
  readonly remedy?: string;
  readonly stack?: string;
}

export type EncodeReply =
  | { readonly progress: EncodeProgress }
  | { readonly document: DocumentAtHand | undefined }
  | { readonly failure: FailureReport }
  | 'done';

const { tokenizer: json, settings } = workerData as EncodeWorkerData;
const port = parentPort;
if (port === null) throw new Error('unreachable: this file runs as a worker');
const tokenizer = Tokenizer.parse(json);
const reply = (message: EncodeReply) => port.postMessage(message);
// The fast path takes a time that grows with the text alone; a regular expression that somebody else wrote may never end.
const onDocument = tokenizer.isFast ? undefined : (document: DocumentAtHand | undefined) => reply({ document });

port.on('message', async (unit: Unit) => {
  try {
    await encodeUnit(unit, tokenizer, settings, (progress) => reply({ progress }), onDocument);
    reply('done');
  } catch (error) {
    const { code, message, remedy, stack } = error as FailureReport;
    reply({
      failure: {
        message,
        ...(code === undefined ? {} : { code }),
        ...(remedy === undefined ? {} : { remedy }),
        ...(stack === undefined ? {} : { stack }),
      },
    });
  }
});
