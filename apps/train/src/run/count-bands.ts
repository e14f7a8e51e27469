/** Bands of an f-gram's count in the training text. */
const BANDS = [
  [40, 'below 40'],
  [100, '40 to 99'],
  [300, '100 to 299'],
  [1000, '300 to 999'],
  [Infinity, '1,000 and more'],
] as const;
export const BAND_NAMES = ['unmatched', ...BANDS.map(([, name]) => name)];

/** @param count undefined where nothing matched */
export function bandOf(count: number | undefined): string {
  if (count === undefined) return 'unmatched';
  return BANDS.find(([below]) => count < below)?.[1] ?? BANDS[BANDS.length - 1][1];
}
