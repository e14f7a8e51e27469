/** One unit's text to its part. */
import type { TextError } from '../documents/text-error.js';
import { TokenList } from '../tokenizer/token-list.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { digestOf } from './digest-set.js';
import { type EncodeSettings, PartWriter, partPath } from './part.js';
import { documentsOf, type Unit } from './units.js';

export interface EncodeProgress {
  /** Bytes of files, since the last report. */
  readonly bytes: number;
  readonly tokens: number;
}

/** A document whose tokens are looked for now. */
export interface DocumentAtHand {
  readonly file: string;
  /** As that of a document. */
  readonly offset: number;
  readonly bytes: number;
}

/** Reports are this far apart, in bytes of text. */
const REPORT_BYTES = 2 ** 18;

/** @throws {TextError} with `onBadInput: 'stop'`, and when a file changed; {ArtifactError} */
export async function encodeUnit(
  unit: Unit,
  tokenizer: Tokenizer,
  settings: EncodeSettings,
  onProgress: (progress: EncodeProgress) => void,
  onDocument?: (document: DocumentAtHand | undefined) => void,
): Promise<void> {
  const { textField, onBadInput, dtype } = settings;
  const list = new TokenList();
  let progress = { bytes: 0, tokens: 0 };
  let text = 0;
  const report = () => {
    onProgress(progress);
    progress = { bytes: 0, tokens: 0 };
    text = 0;
  };
  await PartWriter.publish(partPath(unit, settings), async (writer) => {
    let faults: TextError[] = [];
    const addFaults = async () => {
      for (const fault of faults) await writer.addSkipped(fault);
      faults = [];
    };
    const onSkip = (fault: TextError) => faults.push(fault);
    const onRead = (bytes: number) => {
      progress = { ...progress, bytes: progress.bytes + bytes };
    };
    for await (const { text: content, ...where } of documentsOf(unit, { textField, onBadInput, onSkip, onRead })) {
      await addFaults();
      const utf8 = Buffer.from(content);
      list.clear();
      list.push(tokenizer.endOfText);
      onDocument?.({ file: where.file, offset: where.offset, bytes: utf8.length });
      tokenizer.encodeBytes(utf8, list);
      onDocument?.(undefined);
      const ids = dtype === 'u16' ? new Uint16Array(list.view()) : list.view();
      const record = { digest: digestOf(utf8), tokens: ids.length, bytes: utf8.length, ...where };
      await writer.addDocument(record, new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength));
      progress = { ...progress, tokens: progress.tokens + ids.length };
      text += utf8.length;
      if (text > REPORT_BYTES) report();
    }
    await addFaults();
  });
  report();
}
