/** What to write on from, and how. */
import { useEffect, useRef } from 'preact/hooks';
import { NumberField } from '../components/fields.js';
import type { PromptRequest } from './messages.js';

export interface PromptFormProps {
  readonly contextLength: number;
  readonly busy: boolean;
  readonly onGenerate: (request: PromptRequest) => void;
  readonly onStop: () => void;
  readonly onUnload: () => void;
}

export function PromptForm({ contextLength, busy, onGenerate, onStop, onUnload }: PromptFormProps) {
  const first = useRef<HTMLTextAreaElement>(null);
  // The button that loaded the model is gone: its place in the order of the keyboard is here.
  useEffect(() => first.current?.focus(), []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const number = (name: string) => Number(fields.get(name));
    onGenerate({
      prompt: String(fields.get('prompt')),
      maxTokens: number('maxTokens'),
      temperature: number('temperature'),
      topP: number('topP'),
      seed: number('seed'),
    });
  };
  return (
    <form onSubmit={submit}>
      <label for="prompt">Prompt</label>
      <textarea ref={first} id="prompt" name="prompt" rows={2} defaultValue="The people of the United States" />
      <div class="fields">
        <NumberField name="maxTokens" label="Tokens" value={Math.min(60, contextLength - 1)} min={1} max={contextLength - 1} step={1} />
        <NumberField name="temperature" label="Temperature" value={0.8} min={0} max={10} step="any" />
        <NumberField name="topP" label="Top-p" value={1} min={0.01} max={1} step="any" />
        <NumberField name="seed" label="Seed" value={0} min={0} max={Number.MAX_SAFE_INTEGER} step={1} />
        <button type="submit" class="primary" disabled={busy}>
          Write
        </button>
        <button type="button" disabled={!busy} onClick={onStop}>
          Stop
        </button>
        <button type="button" onClick={onUnload}>
          Unload the model
        </button>
      </div>
    </form>
  );
}
