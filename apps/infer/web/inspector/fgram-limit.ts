/** The choice of how long an f-gram may be that stands in for a token. */
import type { Status } from '../../src/inspect/messages.js';

export interface LimitOption {
  readonly value: string;
  readonly text: string;
}

/** From all to none. */
export function limitOptions({ model: { fgrams } }: Status): LimitOption[] {
  if (fgrams === undefined) return [{ value: '1', text: 'none' }];
  const shorter = Array.from({ length: fgrams.maxLength - 2 }, (_, i) => fgrams.maxLength - 1 - i);
  return [
    { value: '', text: 'all' },
    ...shorter.map((length) => ({ value: String(length), text: `up to ${length} tokens` })),
    { value: '1', text: 'off' },
  ];
}

/** What a chosen value asks of the server. */
export const limitOf = (value: string): { fgram_limit?: number } => (value === '' ? {} : { fgram_limit: Number(value) });

export function limitName(value: string): string {
  if (value === '') return 'with f-grams';
  return value === '1' ? 'without f-grams' : `with f-grams up to ${value} tokens`;
}
