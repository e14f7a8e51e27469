/** Losses as shades: how hard each token was, or how much the f-grams helped (one colour) and hurt (another). */
import type { ShownToken } from './token.js';
import type { Shade } from './token-strip.js';

/** Nats at which a shade is full. */
const FULL_LOSS = 8;
const FULL_DIFFERENCE = 2;

export const lossShade = (loss: number | undefined): Shade | undefined =>
  loss === undefined ? undefined : { colour: 'loss', depth: Math.min(1, loss / FULL_LOSS) };

export function differenceShade({ loss, lossWithout }: ShownToken): Shade | undefined {
  if (loss === undefined || lossWithout === undefined) return undefined;
  const gain = lossWithout - loss;
  return { colour: gain > 0 ? 'help' : 'hurt', depth: Math.min(1, Math.abs(gain) / FULL_DIFFERENCE) };
}

export function LossLegend() {
  return (
    <p class="legend">
      <span>
        loss 0<span class="ramp loss" />
        {FULL_LOSS} nats and more
      </span>
    </p>
  );
}

export function DifferenceLegend() {
  return (
    <p class="legend">
      <span>
        hurt by {FULL_DIFFERENCE} nats
        <span class="ramp" />
        helped by {FULL_DIFFERENCE} nats
      </span>
    </p>
  );
}
