/** A text looked up in a set: whether it is an f-gram, how frequent, and which documents hold it, with their licences. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Dataset, type FgramSet, FgramSources, type ShardDocument, visibleText } from '@sconelm/ngram-miner';
import { expectVocabulary } from './expect-vocabulary.js';

export interface FoundPhrase {
  readonly text: string;
  /** Absent where the text is no f-gram of the set. */
  readonly fgram?: { readonly id: number; readonly length: number; readonly count: number };
  /** The first documents that hold it; absent where the set was mined without sources. */
  readonly sources?: readonly ({ readonly document: number; readonly token: number } & Omit<ShardDocument, 'start'>)[];
}

/** @param directory of the set @throws {TrainError} TRAIN_DATA; {MinerError} SOURCES_MISMATCH; {ArtifactError} */
export async function findPhrase(
  text: string,
  { set, data, directory }: { readonly set: FgramSet; readonly data: Dataset; readonly directory: string },
): Promise<FoundPhrase> {
  expectVocabulary(set, data, directory);
  const tokens = data.tokenizer.encode(text);
  const id = set.idOf(tokens);
  if (id < 0) return { text };
  const fgram = { id, length: tokens.length, count: set.countOf(id) };
  if (!existsSync(path.join(directory, 'sources/sources.json'))) return { text, fgram };
  await using file = await FgramSources.open(directory, set);
  const places = await file.of(id);
  const documents = await file.describe(
    places.map(({ document }) => document),
    data.train.corpus,
  );
  const sources = places.map((place) => {
    const { start: _, ...where } = documents.get(place.document)!;
    return { ...place, ...where };
  });
  return { text, fgram, sources };
}

export function phraseText({ text, fgram, sources }: FoundPhrase): string {
  const name = visibleText(text);
  if (fgram === undefined) return `${name} is no f-gram of this set\n`;
  const head = `${name}: f-gram ${fgram.id.toLocaleString('en')}, ${fgram.length} tokens, ${fgram.count.toLocaleString('en')} times\n`;
  if (sources === undefined) return `${head}its documents are not known: mine with --sources 3\n`;
  return `${head}${sources
    .map(({ document, token, file, id, source, licence }) => {
      const labels = [id, source, licence, file]
        .filter((label) => label !== undefined)
        .map((label) => visibleText(label).replaceAll('␣', ' '));
      return `  document ${document}, token ${token}: ${labels.join(', ')}\n`;
    })
    .join('')}`;
}
