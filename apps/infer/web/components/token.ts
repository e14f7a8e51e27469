/** A token as the pages show it, wherever it was computed. */
import type { InspectedFgram } from '../../src/inspect/messages.js';

export interface ShownToken {
  readonly text: string;
  /** The f-gram whose row stood in for the token. */
  readonly fgram?: InspectedFgram;
  /** Nats. */
  readonly loss?: number;
  /** Nats, where the model looks nothing up. */
  readonly lossWithout?: number;
  /** The likeliest tokens at its place, descending. */
  readonly alternatives?: readonly { readonly text: string; readonly probability: number }[];
  /** Stood in the prompt. */
  readonly given?: boolean;
}

/** Pieces of a text, those apart that have no look of their own: line ends, tabs, controls, marks of direction. */
export function visiblePieces(text: string): { readonly text: string; readonly unseen: boolean }[] {
  const pieces = text.split(/([\p{Cc}\p{Cf}\p{Zl}\p{Zp}])/u);
  return pieces.flatMap((piece, i) => (piece === '' ? [] : [{ text: i % 2 === 1 ? nameOf(piece) : piece, unseen: i % 2 === 1 }]));
}

/** A text in one line, in which blanks at its ends can be seen. */
export function quoted(text: string): string {
  return `“${visiblePieces(text)
    .map((piece) => piece.text)
    .join('')}”`;
}

function nameOf(character: string): string {
  if (character === '\n') return '↵';
  if (character === '\t') return '⇥';
  return `⟨U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}⟩`;
}
