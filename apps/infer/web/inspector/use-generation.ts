/** A continuation as it streams. */
import { useRef, useState } from 'preact/hooks';
import type { GenerateMessage } from '../../src/inspect/messages.js';
import type { ShownToken } from '../components/token.js';
import type { Api, GenerateParameters } from './api.js';

export interface Generation {
  readonly tokens: readonly ShownToken[];
  readonly phase: 'empty' | 'writing' | 'done';
  /** Why it ended. */
  readonly reason?: string;
  readonly error?: unknown;
}

export function useGeneration(api: Api): {
  generation: Generation;
  start: (parameters: GenerateParameters) => void;
  stop: () => void;
  clear: () => void;
} {
  const [generation, setGeneration] = useState<Generation>({ tokens: [], phase: 'empty' });
  const running = useRef<AbortController>(undefined);
  const stop = () => running.current?.abort();
  const clear = () => {
    stop();
    setGeneration({ tokens: [], phase: 'empty' });
  };
  const start = async (parameters: GenerateParameters) => {
    stop();
    const own = new AbortController();
    running.current = own;
    const update = (change: (before: Generation) => Generation) => running.current === own && setGeneration(change);
    setGeneration({ tokens: [], phase: 'writing' });
    try {
      for await (const message of api.generate(parameters, own.signal)) update((before) => withMessage(before, message));
      update((before) => ({ ...before, phase: 'done' }));
    } catch (error) {
      update((before) => ({ ...before, phase: 'done', ...(own.signal.aborted ? { reason: 'stopped' } : { error }) }));
    }
  };
  return { generation, start, stop, clear };
}

export function withMessage(before: Generation, message: GenerateMessage): Generation {
  switch (message.kind) {
    // Without the token that opens every text.
    case 'prompt':
      return { ...before, tokens: message.tokens.slice(1).map((token) => ({ ...token, given: true })) };
    case 'token':
      return { ...before, tokens: [...before.tokens, message.token] };
    case 'look-up': {
      const { tier, lookUpMs } = message;
      const last = before.tokens.at(-1);
      if (last?.fgram === undefined) return before;
      return { ...before, tokens: [...before.tokens.slice(0, -1), { ...last, fgram: { ...last.fgram, tier, lookUpMs } }] };
    }
    case 'end':
      return { ...before, reason: message.reason };
    case 'error':
      return { ...before, error: new Error(message.message) };
  }
}
