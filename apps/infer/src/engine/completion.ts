/** A request's events as text: pieces of whole characters, ended by stop strings. */
import type { Tokenizer } from '@sconelm/ngram-miner/tokenizer';
import { StopStrings } from '../text/stop-strings.js';
import { TextStream } from '../text/text-stream.js';
import type { Engine } from './engine.js';
import type { FinishReason, GenerationEvent, GenerationRequest, RequestTimes, TokenScore } from './request.js';

export interface CompletionRequest extends Omit<GenerationRequest, 'tellsLookUps'> {
  readonly stopStrings: readonly string[];
}

export type CompletionEvent =
  | Extract<GenerationEvent, { kind: 'prompt' }>
  /** A token was generated; its text may come later, or be part of a stop string. */
  | { readonly kind: 'token'; readonly token: number; readonly score?: TokenScore; readonly text: string }
  /** The rest of the text. */
  | { readonly kind: 'end'; readonly text: string; readonly reason: FinishReason; readonly times?: RequestTimes };

/** Starts a request at once; aborting its signal ends it. @throws as `engine.generate` does */
export function complete(
  engine: Engine,
  tokenizer: Tokenizer,
  { stopStrings, ...request }: CompletionRequest,
): AsyncGenerator<CompletionEvent, void> {
  return withText(engine.generate(request), new TextStream(tokenizer), new StopStrings(stopStrings));
}

async function* withText(
  events: AsyncIterableIterator<GenerationEvent>,
  stream: TextStream,
  stops: StopStrings,
): AsyncGenerator<CompletionEvent, void> {
  for await (const event of events) {
    if (event.kind === 'prompt') yield event;
    else if (event.kind === 'token') {
      yield { ...event, text: stops.push(stream.push(event.token)) };
      if (!stops.stopped) continue;
      yield { kind: 'end', text: '', reason: 'stop' };
      return;
    } else if (event.kind === 'end') {
      const text = stops.push(stream.end()) + stops.end();
      yield { ...event, text, reason: stops.stopped ? 'stop' : event.reason };
    }
  }
}
