/**
 * Tokens as running text. Under each stands a bar for every token that its f-gram joins to it; its ground may be shaded. One stop of the Tab key:
 * arrows, Home and End move among the tokens.
 */
import { useEffect, useId, useRef } from 'preact/hooks';
import { formatLoss } from './format.js';
import { quoted, type ShownToken, visiblePieces } from './token.js';

export interface Shade {
  readonly colour: 'loss' | 'help' | 'hurt';
  /** 0 to 1. */
  readonly depth: number;
}

export interface TokenStripProps {
  readonly label: string;
  readonly tokens: readonly ShownToken[];
  readonly active: number | undefined;
  readonly onActive: (index: number) => void;
  readonly shadeOf?: ((token: ShownToken) => Shade | undefined) | undefined;
}

export function TokenStrip({ label, tokens, active, onActive, shadeOf }: TokenStripProps) {
  const id = useId();
  const strip = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent) => {
    const to = destination(event.key, active, tokens.length);
    if (to === undefined) return;
    event.preventDefault();
    onActive(to);
  };
  useEffect(() => {
    if (active === undefined || document.activeElement !== strip.current) return;
    strip.current?.querySelector('.active')?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  return (
    <div
      ref={strip}
      class="tokens"
      role="listbox"
      tabIndex={0}
      aria-label={label}
      aria-activedescendant={active === undefined ? undefined : `${id}-${active}`}
      onKeyDown={move}
      onFocus={() => active === undefined && tokens.length > 0 && onActive(0)}
    >
      {tokens.map((token, i) => (
        <Token key={i} id={`${id}-${i}`} token={token} active={i === active} shade={shadeOf?.(token)} onPoint={() => onActive(i)} />
      ))}
    </div>
  );
}

interface TokenProps {
  readonly id: string;
  readonly token: ShownToken;
  readonly active: boolean;
  readonly shade: Shade | undefined;
  readonly onPoint: () => void;
}

function Token({ id, token, active, shade, onPoint }: TokenProps) {
  const { fgram, given } = token;
  const style = {
    ...(fgram === undefined ? {} : barsOf(fgram.length)),
    ...(shade === undefined ? {} : { '--shade': `var(--${shade.colour})`, '--depth': shade.depth.toFixed(2) }),
  };
  return (
    <span
      id={id}
      role="option"
      tabIndex={-1}
      aria-selected={active}
      aria-label={spoken(token)}
      class={`token${given ? ' given' : ''}${active ? ' active' : ''}`}
      data-length={fgram?.length}
      style={style}
      onPointerEnter={onPoint}
      onPointerDown={onPoint}
    >
      {visiblePieces(token.text).map(({ text, unseen }) => (unseen ? <span class="unseen">{text === '↵' ? '↵\n' : text}</span> : text))}
    </span>
  );
}

/** What the style draws: f-grams of more than five tokens have finer bars, in the same height. */
const barsOf = (length: number) => ({ '--bars': String(Math.min(length, 8) - 1), '--pitch': length > 5 ? '2px' : '4px' });

function spoken({ text, fgram, loss }: ShownToken): string {
  const parts = [quoted(text)];
  if (fgram !== undefined) parts.push(`f-gram of ${fgram.length} tokens, rank ${fgram.rank}`);
  if (loss !== undefined) parts.push(`loss ${formatLoss(loss)}`);
  return parts.join(', ');
}

function destination(key: string, active: number | undefined, count: number): number | undefined {
  const at = active ?? -1;
  const places: Record<string, number> = {
    ArrowRight: at + 1,
    ArrowDown: at + 1,
    ArrowLeft: at - 1,
    ArrowUp: at - 1,
    Home: 0,
    End: count - 1,
  };
  const to = places[key];
  return to === undefined || count === 0 ? undefined : Math.max(0, Math.min(count - 1, to));
}

/** What the bars mean. @param longest the longest f-gram's tokens */
export function LengthLegend({ longest }: { readonly longest: number }) {
  return (
    <ul class="legend" aria-label="Marks">
      {Array.from({ length: Math.min(longest, 8) - 1 }, (_, i) => i + 2).map((length) => (
        <li key={length}>
          <span class="token" data-length={length} style={barsOf(length)}>
            f-gram of {length}
          </span>
        </li>
      ))}
    </ul>
  );
}
