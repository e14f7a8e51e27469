/** A thread that renders chat templates: they are programs of whoever made the model, and may never end. */
import { parentPort, workerData } from 'node:worker_threads';
import { Template } from '@huggingface/jinja';
import type { ChatTemplate } from './chat-template.js';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface RenderJob {
  readonly messages: readonly ChatMessage[];
  /** Whether the text ends where the assistant's answer begins. */
  readonly opensAnswer: boolean;
}

export type Rendered = { readonly text: string } | { readonly error: string };

const { source, beginToken, endToken } = workerData as ChatTemplate;

function render({ messages, opensAnswer }: RenderJob): Rendered {
  try {
    const template = new Template(source);
    const text = template.render({ messages, add_generation_prompt: opensAnswer, bos_token: beginToken, eos_token: endToken });
    return { text };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.postMessage('ready');
parentPort?.on('message', (job: RenderJob) => parentPort?.postMessage(render(job)));
