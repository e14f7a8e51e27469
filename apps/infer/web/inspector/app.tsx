/** The parts of the inspector, chosen by the address's fragment; prompts are never part of an address. What was typed stays while others are looked at. */
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Status } from '../../src/inspect/messages.js';
import { Problem, Shell } from '../components/shell.js';
import { Api, ApiError } from './api.js';
import { FgramsPage } from './fgrams-page.js';
import { KeyForm } from './key-form.js';
import { PromptPage } from './prompt-page.js';
import { QueuePage } from './queue-page.js';
import { RunPage } from './run-page.js';
import { StorePage } from './store-page.js';
import { TextPage } from './text-page.js';

export interface PageProps {
  readonly api: Api;
  /** As it was when the page was opened. */
  readonly status: Status;
  /** Whether it is this page that is looked at. */
  readonly active: boolean;
}

const PARTS: readonly { readonly href: string; readonly label: string; readonly page: ComponentType<PageProps> }[] = [
  { href: '#prompt', label: 'Prompt', page: PromptPage },
  { href: '#text', label: 'Text', page: TextPage },
  { href: '#runs', label: 'Runs', page: RunPage },
  { href: '#fgrams', label: 'F-grams', page: FgramsPage },
  { href: '#store', label: 'Store', page: StorePage },
  { href: '#queue', label: 'Queue', page: QueuePage },
];

const hrefOf = (hash: string) => PARTS.find(({ href }) => href === hash)?.href;

export function App() {
  const current = useFragment();
  useEffect(() => {
    document.title = `${PARTS.find(({ href }) => href === current)?.label} · Scone`;
  }, [current]);
  const [api, setApi] = useState(() => new Api());
  const { status, error } = useStatus(api);
  const needsKey = error instanceof ApiError && error.status === 401;
  return (
    <Shell
      name="Scone"
      places={status === undefined ? [] : PARTS}
      current={current}
      status={status && <span class="note model">{status.model.id}</span>}
    >
      {needsKey && <KeyForm isWrong={api.hasKey} onKey={(key) => setApi(new Api(key))} />}
      {!needsKey && status === undefined && (error === undefined ? <p class="note">Asking the server…</p> : <Problem error={error} />)}
      {status !== undefined &&
        PARTS.map(({ href, page: Page }) => (
          <div key={href} hidden={href !== current}>
            <Page api={api} status={status} active={href === current} />
          </div>
        ))}
    </Shell>
  );
}

function useFragment(): string {
  const [current, setCurrent] = useState(() => hrefOf(location.hash) ?? PARTS[0].href);
  useEffect(() => {
    // Other fragments lead to a place in the page, and change no part.
    const change = () => setCurrent((before) => hrefOf(location.hash) ?? before);
    addEventListener('hashchange', change);
    return () => removeEventListener('hashchange', change);
  }, []);
  return current;
}

/** Asks until there is an answer: a model may still be loading. */
function useStatus(api: Api): { readonly status?: Status; readonly error?: unknown } {
  const [state, setState] = useState<{ readonly status?: Status; readonly error?: unknown }>({});
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      try {
        setState({ status: await api.status() });
      } catch (error) {
        setState({ error });
        if (error instanceof ApiError && error.status === 503) timer = setTimeout(ask, 1000);
      }
    };
    void ask();
    return () => clearTimeout(timer);
  }, [api]);
  return state;
}
