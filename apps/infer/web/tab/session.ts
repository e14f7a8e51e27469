/** The page's side of the worker: what it has said so far, and what may be asked of it. */
import { useEffect, useReducer, useRef } from 'preact/hooks';
import type { PublishedManifest } from '../../src/published-form.js';
import type { ShownToken } from '../components/token.js';
import type { Failure, FromWorker, PromptRequest, ToWorker, Traffic } from './messages.js';

export interface State {
  /** `lost`: the GPU is gone; `failed`: there is no model here. */
  readonly phase: 'looking' | 'found' | 'loading' | 'ready' | 'writing' | 'lost' | 'failed';
  readonly manifest?: PublishedManifest;
  /** Bytes that loading takes, rows apart, and those that have come. */
  readonly wanted: number;
  readonly loaded: number;
  readonly adapter?: string;
  readonly uncached?: string;
  readonly traffic?: Traffic;
  readonly tokens: readonly ShownToken[];
  /** Milliseconds of the tokens generated. */
  readonly times: readonly number[];
  /** Why the text ended. */
  readonly end?: 'stop' | 'length' | 'stopped';
  readonly failure?: Failure;
}

type Action = FromWorker | { readonly kind: 'asked'; readonly work: 'find' | 'load' | 'generate' };

const START: State = { phase: 'looking', wanted: 0, loaded: 0, tokens: [], times: [] };

function next(state: State, action: Action): State {
  switch (action.kind) {
    case 'asked': {
      const { failure: _, end: __, ...rest } = state;
      if (action.work === 'find') return START;
      if (action.work === 'load') return { ...rest, phase: 'loading', loaded: 0 };
      return { ...rest, phase: 'writing', tokens: [], times: [] };
    }
    case 'found':
      return { ...state, phase: 'found', manifest: action.manifest, wanted: action.bytes };
    case 'loading':
      return { ...state, loaded: action.bytes };
    case 'ready': {
      const { kind: _, ...ready } = action;
      return { ...state, phase: 'ready', ...ready };
    }
    case 'prompt':
      return { ...state, tokens: action.tokens };
    case 'token':
      return { ...state, tokens: [...state.tokens, action.token], times: [...state.times, action.ms], traffic: action.traffic };
    case 'end':
      return { ...state, phase: 'ready', end: action.reason, traffic: action.traffic };
    case 'failed':
      // Whoever was asked for text can be asked again.
      if (state.phase === 'lost') return state;
      return { ...state, phase: state.phase === 'writing' ? 'ready' : 'failed', failure: action.failure };
    case 'lost':
      return { ...state, phase: 'lost', failure: action.failure };
  }
}

export interface Session {
  readonly state: State;
  load(): void;
  generate(request: PromptRequest): void;
  stop(): void;
  /** Frees all that the model takes. */
  unload(): void;
  /** The same, then loads it anew. */
  reload(): void;
}

export function useSession(): Session {
  const [state, dispatch] = useReducer(next, START);
  const worker = useRef<Worker>(undefined);
  const ask = (message: ToWorker) => worker.current?.postMessage(message);
  const load = () => {
    dispatch({ kind: 'asked', work: 'load' });
    ask({ kind: 'load' });
  };
  const begin = (onFound?: () => void) => {
    worker.current?.terminate();
    const begun = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    begun.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (worker.current !== begun) return;
      dispatch(data);
      if (data.kind === 'found') onFound?.();
    };
    begun.onerror = () => dispatch({ kind: 'failed', failure: { message: 'the worker of this page does not start' } });
    worker.current = begun;
    dispatch({ kind: 'asked', work: 'find' });
    ask({ kind: 'find', base: document.baseURI });
  };
  useEffect(() => {
    begin();
    return () => worker.current?.terminate();
  }, []);
  return {
    state,
    load,
    generate(request) {
      dispatch({ kind: 'asked', work: 'generate' });
      ask({ kind: 'generate', request });
    },
    stop: () => ask({ kind: 'stop' }),
    unload: () => begin(),
    reload: () => begin(load),
  };
}
