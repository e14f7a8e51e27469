import { Tokenizer, trainTokenizer } from '@sconelm/ngram-miner';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopStrings } from './stop-strings.js';
import { TextStream } from './text-stream.js';

describe('stop strings', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });

  /** Letter by letter: the text before the first stop string that is complete. */
  function naive(text: string, stops: readonly string[]): { text: string; stopped: boolean } {
    for (let end = 1; end <= text.length; end++) {
      const found = stops.filter((stop) => text.slice(0, end).endsWith(stop)).map((stop) => stop.length);
      if (found.length > 0) return { text: text.slice(0, end - Math.max(...found)), stopped: true };
    }
    return { text, stopped: false };
  }

  it('cut the text at the first one to be complete, however it comes in pieces, and hold back no more than may begin one', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(letters, fc.constant(''))), fc.array(letters, { maxLength: 3 }), (pieces, stops) => {
        const stream = new StopStrings(stops);
        let out = '';
        let said = '';
        for (const piece of pieces) {
          out += stream.push(piece);
          said += piece;
          const held = said.slice(out.length);
          if (!stream.stopped) expect(held === '' || stops.some((stop) => stop.startsWith(held))).toBe(true);
        }
        out += stream.end();
        expect({ text: out, stopped: stream.stopped }).toEqual(naive(pieces.join(''), stops));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a stream of text', () => {
  const texts = ['The naïve café — 日本語 🦊🦊', 'plain words, and more'];
  const byteLevel = Tokenizer.parse(trainTokenizer(texts, { vocabSize: 300 }));

  it('is what decoding everything gives, and no piece but the last ends inside a character', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(byteLevel.vocabSize - 1)), (tokens) => {
        const stream = new TextStream(byteLevel);
        const pieces = tokens.map((token) => stream.push(token));
        expect(pieces.join('') + stream.end()).toBe(byteLevel.decode(tokens));
      }),
    );
    for (const text of texts) {
      const stream = new TextStream(byteLevel);
      const pieces = [...byteLevel.encode(text)].map((token) => stream.push(token));
      expect(pieces.join('')).toBe(text);
      expect(pieces.every((piece) => !piece.includes('\ufffd'))).toBe(true);
    }
  });
});
