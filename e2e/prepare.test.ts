/** `prepare` through its command: killed and gone on with, hostile files, what it prints. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { commandsInFolder } from './command.js';

const { folder, command } = commandsInFolder();
const at = (...names: string[]) => path.join(folder, ...names);
const MAIN = fileURLToPath(new URL('../apps/train/dist/main.js', import.meta.url));

function write(name: string, content: string | Uint8Array): void {
  mkdirSync(path.dirname(at(name)), { recursive: true });
  writeFileSync(at(name), content);
}
const hashesOf = (directory: string) =>
  Object.fromEntries(
    readdirSync(at(directory)).map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(at(directory, name)))
        .digest('hex'),
    ]),
  );

it('killed at any moment, goes on to the same bytes; a second one at the same time is refused', async () => {
  const words = 'the people of these United States have in the year now ending seen peace and plenty'.split(' ');
  for (let file = 0; file < 3; file++) {
    const line = (i: number) =>
      `${JSON.stringify({ text: Array.from({ length: 60 }, (_, k) => words[(i * 7 + k * k + file) % words.length]).join(' ') + i })}\n`;
    write(`big/part ${file}.jsonl`, Array.from({ length: 52_000 }, (_, i) => line(i)).join(''));
  }
  write('small.txt', words.join(' ').repeat(3));
  expect(await command('train', ['prepare', '--text', 'small.txt', '--directory', 'small', '--train-tokenizer', '400'])).toMatchObject({
    code: 0,
  });
  const args = (directory: string, ...more: string[]) => [
    'prepare',
    '--text',
    'big',
    '--directory',
    directory,
    '--tokenizer',
    'small/tokenizer.json',
    ...more,
  ];
  expect(await command('train', args('whole', '--workers', '2'))).toMatchObject({ code: 0 });

  const parts = () =>
    existsSync(at('.killed.preparing')) ? readdirSync(at('.killed.preparing')).filter((name) => /^\w+\.jsonl$/.test(name)).length : 0;
  for (const enough of [1, 2]) {
    const child = spawn(process.execPath, [MAIN, ...args('killed', '--workers', '1')], { cwd: folder, stdio: 'ignore' });
    const closed = new Promise((resolve) => child.on('close', resolve));
    while (parts() < enough) {
      expect(child.exitCode).toBe(null);
      await setTimeout(5);
    }
    if (enough === 1) {
      child.kill('SIGSTOP');
      const second = await command('train', args('killed'));
      expect(second).toMatchObject({ code: 1, err: expect.stringContaining(`held by process ${child.pid}`) });
    }
    child.kill('SIGKILL');
    await closed;
    expect(existsSync(at('killed'))).toBe(false);
  }
  const resumed = await command('train', args('killed', '--json'));
  expect(resumed).toMatchObject({ code: 0, err: expect.stringMatching(/going on: [12] of 3/) });
  expect(hashesOf('killed')).toEqual(hashesOf('whole'));
  expect(readdirSync(folder).sort()).toEqual(['big', 'killed', 'small', 'small.txt', 'whole']);
  expect(JSON.parse(resumed.out)).toMatchObject({
    train: { documents: 148_200 },
    heldout: { documents: 7_800 },
    duplicates: 0,
    skipped: { count: 0 },
  });
});

it('takes what it can read of hostile files, and says what it left out', async () => {
  write('tree/a ünïcode \u{1f600} name.txt', '\ufeffmarked, with\r\nmixed\nline ends');
  write(
    'tree/b/two members.jsonl.gz',
    Buffer.concat([gzipSync('{"text":"first member","licence":"CC0-1.0"}\n'), gzipSync('{"text":"second member"}\n')]),
  );
  write(
    'tree/b/truncated.jsonl.gz',
    Buffer.concat([gzipSync('{"text":"before the cut"}\n'), gzipSync('{"text":"lost"}\n').subarray(0, 15)]),
  );
  write('tree/c/-rf.jsonl', `{"text":"one"}\r\n\n{"no text":1}\n{"text":"one"}\n{"text":"${'long '.repeat(400_000)}"}\n`);
  write('tree/d/binary.txt', new Uint8Array([66, 0, 1, 2]));
  write('tree/d/empty.txt', '');
  write('tree/d/latin1.txt', Buffer.from('caf\xe9', 'latin1'));
  write('tree/e/notes.md', 'not taken');
  const stopped = await command('train', ['prepare', '--text', 'tree', '--directory', 'hostile']);
  expect(stopped).toMatchObject({ code: 1, err: expect.stringMatching(/^error: tree\/.*\n {2}-> .+$/m) });
  expect(existsSync(at('hostile'))).toBe(false);

  const args = ['prepare', '--text', 'tree', '--directory', 'hostile', '--on-bad-input', 'skip', '--heldout-share', '0'];
  const skipped = JSON.parse((await command('train', [...args, '--json'])).out);
  expect(skipped).toMatchObject({ train: { documents: 6 }, heldout: { documents: 0 }, duplicates: 1, skipped: { count: 5 } });
  const named = skipped.skipped.first.map(({ file, offset, code }: { file: string; offset: number; code: string }) => [file, offset, code]);
  expect(named).toEqual([
    ['tree/b/truncated.jsonl.gz', expect.any(Number), 'TEXT_FORMAT'],
    ['tree/c/-rf.jsonl', 17, 'TEXT_FORMAT'],
    ['tree/d/binary.txt', 1, 'TEXT_NOT_UTF8'],
    ['tree/d/empty.txt', -1, 'TEXT_EMPTY'],
    ['tree/d/latin1.txt', 3, 'TEXT_NOT_UTF8'],
  ]);
  const { out } = await command('train', [...args, '--show', '2']);
  expect(out).toMatch(/left out: 1 duplicates, 5 that could not be read/);
  expect(out).toMatch(/tree\/d\/binary\.txt, byte 1: /);
  expect(out).toContain('¶ marked, with\r\nmixed\nline ends');

  expect(await command('train', ['mine', '--data', 'hostile', '--min-count', '2', '--directory', 'fgrams'])).toMatchObject({ code: 0 });
  const shown = JSON.parse(
    (await command('train', ['prepare', '--show', '3', '--directory', 'hostile', '--fgrams', 'fgrams', '--json'])).out,
  );
  expect(shown.sequences).toHaveLength(3);
  for (const { lengths, text } of shown.sequences) expect(text.includes('[')).toBe(lengths.some((length: number) => length > 1));
  expect(await command('train', ['prepare', '--directory', 'hostile'])).toMatchObject({ code: 2, err: expect.stringContaining('--text') });
});
