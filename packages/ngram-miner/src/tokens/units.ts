/** The work of preparing in pieces that depend on the input alone: so the result is the same for any number of workers, and pieces that are done stay done. */
import type { Document } from '../documents/document.js';
import type { InputFile, Source } from '../documents/input-file.js';
import { readSource } from '../documents/read-documents.js';
import type { TextError } from '../documents/text-error.js';
import type { Split } from './selection.js';

/** Sources that one worker reads and encodes at a time. */
export interface Unit {
  readonly split: Split;
  readonly sources: readonly Source[];
  /** Where the only document there is is cut, as a share of its text: what is behind is a document of its own. */
  readonly cutAt?: number;
}

/** How much text a byte of a packed file becomes, about. */
const PACKED = 4;

const weightOf = ({ format, packing, size }: InputFile): number => (packing === 'none' && format !== 'parquet' ? size : size * PACKED);

/** Large files that can be entered anywhere are divided, small ones gathered; the order stays. @param unitBytes of text, about */
export function unitsOf(inputs: readonly InputFile[], split: Split, unitBytes: number): Unit[] {
  const units: Unit[] = [];
  let gathered: Source[] = [];
  let weight = 0;
  const close = () => {
    if (gathered.length > 0) units.push({ split, sources: gathered });
    gathered = [];
    weight = 0;
  };
  for (const input of inputs) {
    const own = weightOf(input);
    if (weight + own > unitBytes) close();
    const canDivide = input.packing === 'none' && input.format !== 'text';
    const parts = canDivide ? Math.max(1, Math.floor(own / unitBytes)) : 1;
    const edge = (i: number) => (i === parts ? input.size : Math.floor((input.size / parts) * i));
    for (let i = 0; i < parts; i++) {
      gathered.push({ ...input, from: edge(i), to: edge(i + 1) });
      if (parts > 1) close();
    }
    weight += own;
  }
  close();
  return units;
}

/** How files are read. */
export interface ReadSettings {
  readonly textField: string;
  readonly onBadInput: 'stop' | 'skip';
}

export interface UnitReadOptions extends ReadSettings {
  /** Told of what is left out, with `onBadInput: 'skip'`. */
  readonly onSkip: (fault: TextError) => void;
  readonly onRead?: (bytes: number) => void;
}

/** A unit's documents, in order. @throws {TextError} with `onBadInput: 'stop'`, and whenever a file has changed */
export async function* documentsOf(
  { sources, cutAt }: Unit,
  { onBadInput, onSkip, ...options }: UnitReadOptions,
): AsyncGenerator<Document> {
  const onFault = (fault: TextError) => {
    if (onBadInput === 'stop' || fault.code === 'TEXT_CHANGED') throw fault;
    onSkip(fault);
  };
  for (const source of sources) {
    for await (const document of readSource(source, { ...options, onFault })) {
      if (cutAt === undefined) yield document;
      else yield* cut(document, cutAt);
    }
  }
}

function* cut(document: Document, share: number): Generator<Document> {
  const { text, offset } = document;
  let at = Math.floor(text.length * share);
  // Not between the halves of a character beyond U+FFFF.
  if (text.codePointAt(at - 1) !== text.charCodeAt(at - 1)) at++;
  const head = text.slice(0, at);
  yield { ...document, text: head };
  yield { ...document, text: text.slice(at), offset: offset + Buffer.byteLength(head) };
}
