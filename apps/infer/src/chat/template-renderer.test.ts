import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readChatTemplate } from './chat-template.js';
import { TemplateRenderer } from './template-renderer.js';

const folder = mkdtempSync(path.join(tmpdir(), 'sconelm-chat-'));
afterAll(() => rmSync(folder, { recursive: true }));

const CHATML =
  "{{ bos_token }}{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
const template = (source: string) => ({ source, beginToken: '<s>', endToken: '</s>' });
const hello = { messages: [{ role: 'user', content: 'Hello {{ 1 + 1 }}' }], opensAnswer: true };

it('renders messages, whose text is text', async () => {
  await using renderer = new TemplateRenderer(template(CHATML));
  const texts = await Promise.all([renderer.render(hello), renderer.render({ ...hello, opensAnswer: false })]);
  const said = '<s><|im_start|>user\nHello {{ 1 + 1 }}<|im_end|>\n';
  expect(texts).toEqual([`${said}<|im_start|>assistant\n`, said]);
});

it('a template that refuses, fails or never ends costs its request only', async () => {
  await using refusing = new TemplateRenderer(template("{{ raise_exception('roles must alternate') }}"));
  await expect(refusing.render(hello)).rejects.toThrow('roles must alternate');
  await using broken = new TemplateRenderer(template('{% for %}'));
  await expect(broken.render(hello)).rejects.toMatchObject({ code: 'CHAT_TEMPLATE' });
  const bomb =
    '{% if messages|length > 1 %}{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}{% endif %}fine';
  await using slow = new TemplateRenderer(template(bomb), { deadlineMs: 2000 });
  const stuck = slow.render({ ...hello, messages: [...hello.messages, ...hello.messages] });
  await expect(stuck).rejects.toThrow(/did not end within 2000 ms|memory/);
  expect(await slow.render(hello)).toBe('fine');
});

it('is found where Hugging Face keeps it', async () => {
  expect(await readChatTemplate(folder)).toBeUndefined();
  const config = path.join(folder, 'tokenizer_config.json');
  const tokens = { bos_token: { content: '<s>' }, eos_token: '</s>' };
  writeFileSync(
    config,
    JSON.stringify({
      ...tokens,
      chat_template: [
        { name: 'default', template: 'a' },
        { name: 'tools', template: 'b' },
      ],
    }),
  );
  expect(await readChatTemplate(folder)).toEqual({ source: 'a', beginToken: '<s>', endToken: '</s>' });
  writeFileSync(path.join(folder, 'chat_template.jinja'), 'own');
  expect(await readChatTemplate(folder)).toMatchObject({ source: 'own' });
  writeFileSync(config, '{"chat_template": 3}');
  await expect(readChatTemplate(folder)).rejects.toMatchObject({ code: 'CHAT_TEMPLATE' });
});
