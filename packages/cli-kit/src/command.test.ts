import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineCommand, Progress, runProgram } from './index.js';

class KnownError extends Error {
  readonly code = 'KNOWN';
  readonly remedy = 'Do this.';
}

const program = {
  name: 'tool',
  summary: 'a tool',
  version: '1.2.3',
  commands: [
    defineCommand({
      name: 'count',
      summary: 'counts',
      examples: ['tool count --max-length 3'],
      config: z.strictObject({
        maxLength: z.int().min(2).default(4).describe('longest'),
        name: z.string().default('x'),
        files: z.array(z.string()).optional(),
        fast: z.boolean().optional(),
      }),
      run: async ({ config, sources, output }) => {
        if (config.name === 'sources') output(sources, JSON.stringify(sources));
        if (config.name === 'fail') throw new KnownError('it failed');
        if (config.name === 'bug') throw new Error('a bug');
        output(config, `${config.maxLength} ${config.name}\n`);
      },
    }),
  ],
};

async function run(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runProgram(program, args, { out: (text) => out.push(text), err: (text) => err.push(text) });
  return { code, out: out.join(''), err: err.join('') };
}

describe('a program', () => {
  it('takes options by name, by --set and from a file, the last one winning', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'sconelm-cli-')), 'config.json');
    writeFileSync(file, '{ // a comment\n "name": "http://y", /* another */ "maxLength": 8 }');
    expect(await run('count')).toMatchObject({ code: 0, out: '4 x\n' });
    expect(await run('count', '--max-length=3', '--set', 'name=z')).toMatchObject({ code: 0, out: '3 z\n' });
    expect(await run('count', '--config', file, '--max-length', '5')).toMatchObject({ code: 0, out: '5 http://y\n' });
    expect(await run('count', '--json')).toMatchObject({ code: 0, out: '{"maxLength":4,"name":"x"}\n' });
  });

  it('knows groups of two-word commands: their help lists them, and a wrong word names them', async () => {
    const put = (name: string) =>
      defineCommand({ name, summary: `${name}!`, examples: [], config: z.strictObject({}), run: async ({ output }) => output({}, name) });
    const grouped = async (...args: string[]) => {
      const [out, err]: [string[], string[]] = [[], []];
      const io = { out: (text: string) => out.push(text), err: (text: string) => err.push(text) };
      const code = await runProgram({ ...program, commands: [...program.commands, put('box open'), put('box shut')] }, args, io);
      return { code, out: out.join(''), err: err.join('') };
    };
    expect(await grouped('box', 'shut')).toMatchObject({ code: 0, out: 'box shut' });
    const { code, out } = await grouped('box', '--help');
    expect(code).toBe(0);
    expect(out).toContain('box shut');
    expect(out).not.toContain('counts');
    expect(await grouped('box', 'up')).toMatchObject({ code: 2, err: expect.stringContaining('there are box open, box shut') });
  });

  it('takes options from the environment where nothing else says otherwise', async () => {
    process.env.TOOL_MAX_LENGTH = '7';
    process.env.TOOL_FILES = '["a","b"]';
    try {
      const out: string[] = [];
      const io = { out: (text: string) => out.push(text), err: () => {} };
      const withVariables = { ...program, variables: 'TOOL', version: async () => '1 on an adapter' };
      await runProgram(withVariables, ['count', '--json'], io);
      await runProgram(withVariables, ['count', '--json', '--max-length', '3', '--files', 'c'], io);
      await runProgram(withVariables, ['--version'], io);
      expect(out.splice(0, 2).map((line) => JSON.parse(line))).toEqual([
        { maxLength: 7, name: 'x', files: ['a', 'b'] },
        { maxLength: 3, name: 'x', files: ['c'] },
      ]);
      expect(out).toEqual(['1 on an adapter\n']);
      process.env.TOOL_MAX_LENGTH = 'long';
      expect(await runProgram(withVariables, ['count'], io)).toBe(2);
      expect((await run('count', '--json')).out).toBe('{"maxLength":4,"name":"x"}\n');
    } finally {
      delete process.env.TOOL_MAX_LENGTH;
      delete process.env.TOOL_FILES;
    }
  });

  it('tells where each option was given; a file may name its schema', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'sconelm-cli-')), 'count.json');
    writeFileSync(file, '{"$schema": "count.schema.json", "maxLength": 6, "fast": true}');
    const { out } = await run('count', '--config', file, '--set', 'name=sources', '--fast', 'false');
    expect(out).toContain(JSON.stringify({ maxLength: file, fast: '--fast', name: '--set' }));
  });

  it('takes texts that look like numbers, repeated lists, and switches', async () => {
    expect(JSON.parse((await run('count', '--name', '42', '--files', 'a', '--files', 'b', '--fast', '--json')).out)).toEqual({
      maxLength: 4,
      name: '42',
      files: ['a', 'b'],
      fast: true,
    });
    expect(JSON.parse((await run('count', '--files', '["a"]', '--fast=false', '--json')).out)).toMatchObject({ files: ['a'], fast: false });
  });

  it('explains itself', async () => {
    expect((await run('--help')).out).toContain('count  counts');
    expect((await run('count', '--help')).out).toContain('--max-length           longest (default 4)');
    expect((await run('--version')).out).toBe('1.2.3\n');
  });

  it('answers bad usage with exit code 2 and the nearest name', async () => {
    expect(await run('coutn')).toMatchObject({ code: 2, err: expect.stringContaining("did you mean 'count'") });
    expect(await run('count', '--max-lenght', '3')).toMatchObject({ code: 2, err: expect.stringContaining('did you mean --max-length?') });
    expect(await run('count', '--fats')).toMatchObject({ code: 2, err: expect.stringContaining('did you mean --fast?') });
    expect(await run('count', '--max-length', '1')).toMatchObject({ code: 2, err: expect.stringContaining('--max-length:') });
    expect(await run('count', '--set', 'names=1')).toMatchObject({ code: 2, err: expect.stringContaining("did you mean 'name'?") });
    expect(await run('count', '--config', '/nowhere')).toMatchObject({ code: 2 });
    expect(await run('count', 'stray')).toMatchObject({ code: 2 });
  });

  it('gives a failure its remedy and exit code 1, and does not hide a bug', async () => {
    expect(await run('count', '--name', 'fail')).toMatchObject({ code: 1, err: 'error: it failed\n  -> Do this.\n' });
    const { out } = await run('count', '--name', 'fail', '--json');
    expect(JSON.parse(out)).toEqual({ error: { code: 'KNOWN', message: 'it failed', remedy: 'Do this.' } });
    await expect(run('count', '--name', 'bug')).rejects.toThrow('a bug');
  });
});

describe('progress', () => {
  it('writes a line at most every second where there is no terminal, and always the last', () => {
    let now = 0;
    const lines: string[] = [];
    using progress = new Progress({ write: (text: string) => lines.push(text) > 0, terminal: false, now: () => now });
    for (let done = 0; done <= 40; done++, now += 100) progress.update('work', { done, total: 40, unit: 'rows' });
    expect(lines.length).toBe(5);
    expect(lines[1]).toBe('  work: 10 of 40 rows, 10 rows/s, 3 s left\n');
    expect(lines[4]).toContain('40 of 40');
  });

  it('gives a sign of life where nothing is reported, on a terminal in the same line', () => {
    let now = 0;
    const texts: string[] = [];
    const options = { write: (text: string) => texts.push(text) > 0, now: () => now };
    using plain = new Progress({ ...options, terminal: false });
    plain.note('compiling');
    now += 1299;
    plain.beat();
    now += 1;
    plain.beat();
    now += 1300;
    plain.beat();
    expect(texts.splice(0)).toEqual(['compiling\n', '  … 2 s\n', '  … 3 s\n']);
    using terminal = new Progress({ ...options, terminal: true });
    terminal.update('work', { done: 1, total: 2, unit: 'rows' });
    now += 1500;
    terminal.beat();
    terminal.note('done');
    expect(texts[1]).toBe('\r\u001b[2K  work: 1 of 2 rows … 2 s');
    expect(texts.slice(2)).toEqual(['\n', 'done\n']);
  });
});
