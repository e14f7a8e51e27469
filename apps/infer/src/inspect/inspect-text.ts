/** A text of any length under a model, cut into windows that stand alone, as evaluation cuts it; and which f-grams helped and hurt. */
import { type ExplainedModel, type ExplainOptions, explainWindow } from './explain-window.js';
import type { FgramEffect, InspectedToken, TextReport } from './messages.js';

/** F-grams told of each kind. */
const EFFECTS = 12;

/** @param tokens of the text, behind the token that opens it @param bytes of the text, at least one */
export async function inspectText(
  model: ExplainedModel,
  tokens: readonly number[],
  bytes: number,
  options: ExplainOptions,
): Promise<TextReport> {
  const window = model.engine.contextLength;
  const all: InspectedToken[] = [];
  const effects = new Map<number, FgramEffect>();
  let covered = 0;
  // A window begins with the last token of the one before, which has its loss from there.
  for (let start = 0; start === 0 || start < tokens.length - 1; start += window - 1) {
    const explained = await explainWindow(model, tokens.slice(start, start + window), options);
    addEffects(effects, explained);
    covered += coveredTokens(explained);
    all.push(...explained.slice(start === 0 ? 0 : 1));
  }
  const text = all.slice(1);
  const bits = (of: (token: InspectedToken) => number | undefined) =>
    text.reduce((sum, token) => sum + (of(token) ?? 0), 0) / Math.LN2 / bytes;
  const ranked = [...effects.values()].sort((a, b) => b.gain - a.gain || a.fgram.rank - b.fgram.rank);
  return {
    tokens: all,
    bytes,
    bitsPerByte: bits(({ loss }) => loss),
    ...(model.fgrams === undefined ? {} : { bitsPerByteWithout: bits(({ lossWithout }) => lossWithout) }),
    hitRate: text.filter(({ fgram }) => fgram !== undefined).length / text.length,
    coverage: covered / text.length,
    window,
    helped: ranked.filter(({ gain }) => gain > 0).slice(0, EFFECTS),
    hurt: ranked
      .filter(({ gain }) => gain < 0)
      .slice(-EFFECTS)
      .reverse(),
  };
}

/** A row stands in for a token that is read; what it changes first is the loss of the next one. */
function addEffects(effects: Map<number, FgramEffect>, window: readonly InspectedToken[]): void {
  window.slice(0, -1).forEach(({ fgram }, i) => {
    const { loss, lossWithout } = window[i + 1];
    if (fgram === undefined || loss === undefined || lossWithout === undefined) return;
    const before = effects.get(fgram.rank) ?? { fgram, uses: 0, gain: 0 };
    effects.set(fgram.rank, { ...before, uses: before.uses + 1, gain: before.gain + lossWithout - loss });
  });
}

/** Tokens inside of the f-grams of a window, its first token apart: that is the opening one, or the last of the window before. */
function coveredTokens(window: readonly InspectedToken[]): number {
  const inside = new Uint8Array(window.length);
  window.forEach(({ fgram }, i) => {
    if (fgram !== undefined) inside.fill(1, i - fgram.length + 1, i + 1);
  });
  return inside.subarray(1).reduce((sum, one) => sum + one, 0);
}
