/** Hugging Face's tokenizer.json, as far as it is read here. */
import { MinerError } from '../errors.js';

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
  readonly normalized?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly [field: string]: unknown;
}

/** A step of the way from text to ids. */
export interface Component {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface TokenizerJson {
  readonly model: {
    readonly type?: string;
    /** Ids by token; for Unigram tokens and scores by id. */
    readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
    readonly merges?: readonly (string | readonly [string, string])[];
    readonly [field: string]: unknown;
  };
  readonly normalizer?: Component | null;
  readonly pre_tokenizer?: Component | null;
  readonly post_processor?: Component | null;
  readonly decoder?: Component | null;
  readonly added_tokens?: readonly AddedToken[] | null;
  readonly [field: string]: unknown;
}

const MODELS = ['BPE', 'Unigram', 'WordPiece'];
/** Ids above this are taken for damage: tables are as long as the largest id. */
const MAX_ID = 2 ** 22;
/** Of a step. */
const MAX_SETTINGS = 10_000;
const MAX_DEPTH = 32;

export function unsupported(what: string, cause?: unknown): MinerError {
  return new MinerError('TOKENIZER_UNSUPPORTED', `tokenizer.json: ${what}`, 'Use a tokenizer.json of Hugging Face tokenizers.', cause);
}

/** @throws {MinerError} TOKENIZER_UNSUPPORTED */
export function readTokenizerJson(json: string | TokenizerJson): TokenizerJson {
  let content = json;
  if (typeof content === 'string') {
    try {
      content = JSON.parse(content) as TokenizerJson;
    } catch (cause) {
      throw unsupported('it is not JSON', cause);
    }
  }
  if (typeof content?.model?.vocab !== 'object' || content.model.vocab === null) throw unsupported('it has no model with a vocabulary');
  const { type } = content.model;
  if (type !== undefined && !MODELS.includes(type)) throw unsupported(`its model is ${String(type)}, expected ${MODELS.join(', ')}`);
  const { merges = [] } = content.model;
  if (!Array.isArray(merges)) throw unsupported('its merges are no list');
  const wrong = merges.findIndex((merge) => partsOf(merge) === undefined);
  if (wrong >= 0) throw unsupported(`merge ${wrong} is ${JSON.stringify(merges[wrong])}, not two tokens`);
  if (!Array.isArray(content.added_tokens ?? [])) throw unsupported('its added_tokens are no list');
  for (const step of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'] as const) expectSmall(step, content[step]);
  return content;
}

/** Both halves of a merge; undefined if it is none. */
export function partsOf(merge: unknown): readonly [left: string, right: string] | undefined {
  if (typeof merge === 'string') {
    const blank = merge.indexOf(' ');
    return blank < 1 || merge.includes(' ', blank + 1) ? undefined : [merge.slice(0, blank), merge.slice(blank + 1)];
  }
  const isPair = Array.isArray(merge) && merge.length === 2 && typeof merge[0] === 'string' && typeof merge[1] === 'string';
  return isPair ? (merge as [string, string]) : undefined;
}

/** Steps are a few settings: one with thousands is damage, and would be worked through for every text. @throws {MinerError} TOKENIZER_UNSUPPORTED */
function expectSmall(step: string, settings: unknown): void {
  let left = MAX_SETTINGS;
  const visit = (value: unknown, depth: number): void => {
    left -= 1;
    if (left < 0 || depth > MAX_DEPTH)
      throw unsupported(`its ${step} has more than ${MAX_SETTINGS} settings, or is nested deeper than ${MAX_DEPTH} levels`);
    if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) visit(inner, depth + 1);
  };
  visit(settings, 0);
}

/** What a file of another form makes fail, in our code or in the library's, is told as what it is. @throws {MinerError} TOKENIZER_UNSUPPORTED */
export function withSupported<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof MinerError) throw cause;
    throw unsupported(`a part of it has another form than is known: ${cause instanceof Error ? cause.message : cause}`, cause);
  }
}

/** Ids by token, added tokens included. @throws {MinerError} TOKENIZER_UNSUPPORTED */
export function vocabularyOf({ model, added_tokens }: TokenizerJson): Map<string, number> {
  const vocabulary = new Map<string, number>();
  const add = (token: unknown, id: unknown): void => {
    if (typeof token !== 'string' || !Number.isInteger(id) || (id as number) < 0 || (id as number) > MAX_ID) {
      throw unsupported(`token '${String(token)}' has id ${String(id)}, not a number of 0 to ${MAX_ID}`);
    }
    vocabulary.set(token, id as number);
  };
  const vocab: unknown = model.vocab;
  if (Array.isArray(vocab)) for (const [id, entry] of vocab.entries()) add(entry?.[0], id);
  else {
    const ids = vocab as Readonly<Record<string, unknown>>;
    // Object.entries takes two to four times as long.
    for (const token of Object.keys(ids)) add(token, ids[token]);
  }
  for (const token of added_tokens ?? []) add(token?.content, token?.id);
  return vocabulary;
}

/** Names of tokens that open or end a text, where the file does not say which one does. */
const BOUNDARIES = ['<s>', '<|begin_of_text|>', '<bos>', '[CLS]', '</s>', '<eos>', '<|end_of_text|>', '<|im_end|>'];
export const END_OF_TEXT = '<|endoftext|>';

/** The token that opens a document: the one named; `<|endoftext|>`; what the post-processor puts in front; one by name. @throws {MinerError} */
export function boundaryOf({ post_processor }: TokenizerJson, vocabulary: ReadonlyMap<string, number>, named: string | undefined): number {
  const candidates = named === undefined ? [END_OF_TEXT, firstOf(post_processor), ...BOUNDARIES] : [named];
  for (const token of candidates) {
    const id = token === undefined ? undefined : vocabulary.get(token);
    if (id !== undefined) return id;
  }
  throw new MinerError(
    'TOKENIZER_BOUNDARY',
    `tokenizer.json: ${named === undefined ? 'it has none of the usual tokens to open a document' : `it has no token '${named}'`}`,
    'Name one of its tokens as the boundary of documents.',
  );
}

/** What a post-processor puts before the text. */
function firstOf(processor: Component | null | undefined): string | undefined {
  if (processor === null || processor === undefined) return undefined;
  if (processor.type === 'TemplateProcessing') {
    const first = (processor.single as readonly { readonly SpecialToken?: { readonly id: string } }[] | undefined)?.[0];
    return first?.SpecialToken?.id;
  }
  if (processor.type === 'BertProcessing' || processor.type === 'RobertaProcessing') return (processor.cls as [string] | undefined)?.[0];
  if (processor.type === 'Sequence')
    return ((processor.processors ?? []) as readonly Component[]).map(firstOf).find((token) => token !== undefined);
  return undefined;
}
