/** An exported model in numpy, by the script that lies beside its weights, against the engine: the same f-grams, the same logits. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DecodeSession } from '@sconelm/decoder';
import { FgramSession, openModel, runPaths } from '@sconelm/fgram-model';
import { openFgrams, Tokenizer } from '@sconelm/ngram-miner';
import { openStore } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { describe, expect, it } from 'vitest';
import { findNumpy } from '../tools/setup/numpy.mjs';
import { commandsInFolder } from './command.js';
import { createTinyRun, TEXT } from './tiny-run.js';

const python = findNumpy();
const { folder, command } = commandsInFolder();

const LLAMA = { rotary: { base: 10_000 }, norm: 'rms', keyValueHeads: 1, attentionBias: 'none', mlp: 'swiglu', mlpBias: false } as const;

describe.skipIf(python === undefined)(`exported models${python === undefined ? ': no Python with numpy here' : ''}`, () => {
  it.each([
    ['gpt2', {}],
    ['llama', LLAMA],
  ])('%s: an export has a card, and its numpy reference gives the engine’s logits', async (name, form) => {
    const directory = path.join(folder, name);
    using device = await openDevice();
    await createTinyRun(device, directory, form);
    const exported = ['export', name, `${name}-exported`, '--rows', '--corpus', 'A few sentences about a river.', '--licence', 'cc0-1.0'];
    expect(await command('train', exported)).toMatchObject({ code: 0 });
    const card = readFileSync(path.join(folder, `${name}-exported/README.md`), 'utf8');
    expect(card).toMatch(/^---\nlicense: "cc0-1.0"\n/);
    expect(card).toContain('A few sentences about a river.');
    expect(card).not.toContain('undefined');

    const tokenizer = Tokenizer.parse(readFileSync(runPaths(directory).tokenizer, 'utf8'));
    const tokens = [tokenizer.endOfText, ...tokenizer.encode(TEXT)].slice(0, 40);
    const script = path.join(folder, `${name}-exported/scone_reference.py`);
    const { status, stdout, stderr } = spawnSync(python ?? '', [script, '--json', ...tokens.map(String)], { encoding: 'utf8' });
    if (status !== 0) expect.fail(stderr);
    const { lengths, logits } = JSON.parse(stdout) as { lengths: number[]; logits: number[][] };

    using model = await openModel(device, directory);
    const set = await openFgrams(runPaths(directory).fgrams);
    await using rows = await openStore(`file:${runPaths(directory).rows}`);
    using session = new DecodeSession(device, model.config.decoder, model.parameters);
    const own = new FgramSession(session, { matcher: set.matcher(tokenizer.endOfText), rows });
    const expected = await own.append(tokens);
    expect(lengths).toEqual(own.lengths);
    expect(Math.max(...lengths)).toBe(3);
    const worst = logits.flat().reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
    expect(logits.flat()).toHaveLength(expected.length);
    expect(worst).toBeLessThan(1e-3);
  });
});
