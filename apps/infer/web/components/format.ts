/** Numbers as people read them. */

const grouped = new Intl.NumberFormat('en');
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

export const formatCount = (value: number): string => grouped.format(value);
export const formatCompact = (value: number): string => compact.format(value);
export const formatLoss = (nats: number): string => nats.toFixed(3);
export const formatShare = (share: number): string => `${(100 * share).toFixed(1)} %`;

export function formatMs(ms: number): string {
  const [unit, value] = ms < 1 ? ['µs', 1000 * ms] : ms < 1000 ? ['ms', ms] : ['s', ms / 1000];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

export function formatBytes(bytes: number): string {
  const [unit, size] = bytes >= 1e9 ? ['GB', 1e9] : bytes >= 1e6 ? ['MB', 1e6] : bytes >= 1e3 ? ['kB', 1e3] : ['B', 1];
  return `${bytes === 0 ? 0 : Number((bytes / size).toPrecision(3))} ${unit}`;
}
