/** The inspector's answers against what they are made of: naive searches, the engine asked alone, files as training leaves them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createModel, writeRunManifest } from '@sconelm/fgram-model';
import { encodeFgramSet, FgramSet } from '@sconelm/ngram-miner/fgrams';
import { openFillingStore, type RowStore } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { batchDecoder, type SequenceFgrams } from '../engine/batch-decoder.js';
import { Engine } from '../engine/engine.js';
import { served, tokenizer } from '../testing/served.js';
import { explainWindow } from './explain-window.js';
import { inspectText } from './inspect-text.js';
import { listRuns, readRun } from './runs.js';
import { searchFgrams } from './search-fgrams.js';

const folder = mkdtempSync(path.join(tmpdir(), 'sconelm-inspect-'));
afterAll(() => rmSync(folder, { recursive: true }));

const V = tokenizer.vocabSize;
const [T, H, E] = tokenizer.encode('The').length === 1 ? [1, 2, 3] : tokenizer.encode('The');
/** "Th", "he", "The" of the letters’ tokens: closed under prefixes and suffixes. */
const { bytes, manifest } = encodeFgramSet(
  {
    size: 3,
    maxLength: 3,
    vocabSize: V,
    boundary: tokenizer.endOfText,
    parents: Uint32Array.of(T, H, V),
    tokens: Uint32Array.of(H, E, E),
    counts: Float64Array.of(9, 7, 5),
  },
  { minCount: 5 },
);
const set = FgramSet.parse(bytes, { ...manifest, hash: 'h' });

describe('f-grams', () => {
  it('are found by any piece of their text, in order of rank, from any rank on', async () => {
    const texts = [0, 1, 2].map((id) => tokenizer.decode(set.tokensOf(id)));
    const query = fc.record({
      text: fc.constantFrom('', 'h', 'H', 'th', 'he', 'the', 'x'),
      fromRank: fc.integer({ min: 1, max: 5 }),
      limit: fc.integer({ min: 1, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(query, async ({ text, fromRank, limit }) => {
        const ranks = [1, 2, 3].filter((rank) => rank >= fromRank && texts[rank - 1].toLowerCase().includes(text.toLowerCase()));
        const page = await searchFgrams(set, tokenizer, { text, fromRank, limit });
        expect(page.fgrams.map(({ rank }) => rank)).toEqual(ranks.slice(0, limit));
        if (page.isWhole) expect(page.fgrams).toHaveLength(ranks.length);
        else expect(page.lastRank).toBeGreaterThanOrEqual(fromRank);
      }),
    );
    expect((await searchFgrams(set, tokenizer, { text: texts[2], fromRank: 1, limit: 1 })).exact).toMatchObject([
      { rank: 3, count: 5, length: 3 },
    ]);
  });
});

describe('a text', () => {
  const decoder = { vocabSize: V, contextLength: 16, layers: 1, width: 16, heads: 2 };
  const rowOf = (id: number) => Float32Array.from({ length: decoder.width }, (_, i) => Math.sin(id * 7 + i));
  const fgramsOf = (): SequenceFgrams => ({
    matcher: set.matcher(),
    rows: {
      tierOf: (id) => (id === 0 ? 'memory' : 'store'),
      read(ids, into) {
        ids.forEach((id, i) => {
          into.set(rowOf(id), i * decoder.width);
        });
      },
    },
  });

  it('has the losses that a plain decoder has without f-grams, and those of shorter f-grams where their length is limited', async () => {
    using device = await openDevice();
    using model = createModel(device, { decoder }, { seed: 1 });
    using both = batchDecoder(device, model, { slots: 2, fgramsOf });
    using plain = batchDecoder(device, model, { slots: 2 });
    const tokens = [tokenizer.endOfText, T, H, E, H, T, H, E, E];
    const inspected = { engine: new Engine(both), tokenizer, fgrams: set };
    const bare = await explainWindow({ engine: new Engine(plain), tokenizer }, tokens, {});
    for (const fgramLimit of [undefined, 3, 2, 1]) {
      const explained = await explainWindow(inspected, tokens, { fgramLimit, alternatives: 2 });
      const longest = [1, 1, 2, 3, 1, 1, 2, 3, 1].map((length) => Math.min(length, fgramLimit ?? 3));
      expect(explained.map(({ fgram }) => fgram?.length ?? 1)).toEqual(longest);
      expect(explained.map(({ lossWithout }) => lossWithout)).toEqual(bare.map(({ loss }) => loss));
      expect(explained[2].fgram?.tier).toBe(fgramLimit === 1 ? undefined : 'memory');
      expect(explained[3].alternatives).toHaveLength(2);
      if (fgramLimit === 1) expect(explained.map(({ loss }) => loss)).toEqual(bare.map(({ loss }) => loss));
      else expect(explained[4].loss).not.toBe(bare[4].loss);
    }
    const [three, two] = [await explainWindow(inspected, tokens, {}), await explainWindow(inspected, tokens, { fgramLimit: 2 })];
    expect(two[3].loss).toBe(three[3].loss);
    expect(two[4].loss).not.toBe(three[4].loss);
  });

  it('of any length has each loss once, and its f-grams have the credit for what follows them', async () => {
    using device = await openDevice();
    using model = createModel(device, { decoder }, { seed: 1 });
    using both = batchDecoder(device, model, { slots: 2, fgramsOf });
    const inspected = { engine: new Engine(both), tokenizer, fgrams: set };
    const text = Array.from({ length: 40 }, (_, i) => [T, H, E][(i * i) % 3]);
    const report = await inspectText(inspected, [tokenizer.endOfText, ...text], 40, {});
    expect(report.tokens).toHaveLength(41);
    expect(report.tokens.findIndex(({ loss }) => loss === undefined)).toBe(0);
    expect(report.tokens.slice(1).every(({ loss }) => loss !== undefined)).toBe(true);
    expect(report.bitsPerByte).toBeCloseTo(report.tokens.reduce((sum, { loss = 0 }) => sum + loss, 0) / Math.LN2 / 40, 9);
    const all = [...report.helped, ...report.hurt];
    // Windows begin at every fifteenth token; nothing is matched before their first one.
    const followers = report.tokens.slice(1).filter((_, i) => report.tokens[i].fgram !== undefined && i % 15 !== 0);
    const gains = followers.map(({ loss = 0, lossWithout = 0 }) => lossWithout - loss);
    expect(all.reduce((sum, { gain }) => sum + gain, 0)).toBeCloseTo(
      gains.reduce((sum, gain) => sum + gain, 0),
      9,
    );
    expect(all.reduce((sum, { uses }) => sum + uses, 0)).toBe(followers.length);
    expect(new Set(all.map(({ fgram }) => fgram.rank)).size).toBe(all.length);
    expect(report.coverage).toBeGreaterThanOrEqual(report.hitRate);
    await inspected.engine.drain();
  });
});

describe('runs', () => {
  it('beside the served one are told by name and nothing else is, with the lines that are whole', async () => {
    const decoder = { vocabSize: V, contextLength: 16, layers: 1, width: 16, heads: 2 };
    for (const name of ['served', 'other', '<b>']) {
      mkdirSync(path.join(folder, name));
      await writeRunManifest(path.join(folder, name), { model: { decoder }, tokenizer: 't', training: {} });
    }
    mkdirSync(path.join(folder, 'no-run'));
    const line = (step: number) => JSON.stringify({ step, tokens: step * 10, loss: 5, gradientNorm: null });
    writeFileSync(path.join(folder, 'other', 'metrics.jsonl'), `${line(1)}\nno json\n${line(2)}\n{"step": 3, "tok`);
    writeFileSync(path.join(folder, 'other', 'samples.jsonl'), '{"step":1,"text":"<img src=x>"}\n');
    const served = path.join(folder, 'served');
    expect((await listRuns(served)).runs.map(({ name, served }) => [name, served])).toEqual([
      ['served', true],
      ['<b>', false],
      ['other', false],
    ]);
    expect(await readRun(served, 'other')).toEqual({
      name: 'other',
      points: [1, 2].map((step) => ({ step, tokens: step * 10, loss: 5 })),
      samples: [{ step: 1, text: '<img src=x>' }],
    });
    for (const name of ['..', '../served', 'no-run', 'served/../other', '', '.', path.join(folder, 'other')])
      expect(await readRun(served, name), name).toBeUndefined();
  });
});

describe('a verification', () => {
  it('reads the store once, whoever joins it, and again when it is over', async () => {
    const { post, state } = served();
    let [calls, release] = [0, () => {}];
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const verify = () => {
      calls += 1;
      return gate;
    };
    let arrived = 0;
    const store = {
      get isFilling() {
        arrived += 1;
        return false;
      },
      metrics: { verifiedRows: 7 },
      verify,
    };
    state.model = { ...state.model!, store: store as unknown as RowStore };
    const asked = Array.from({ length: 5 }, () => post('/inspect/verify', {}));
    while (arrived < 5) await new Promise((resolve) => setImmediate(resolve));
    release();
    for (const response of await Promise.all(asked)) expect(await response.json()).toEqual({ verifiedRows: 7, damage: null });
    expect(calls).toBe(1);
    await post('/inspect/verify', {});
    expect(calls).toBe(2);
  });

  it('of a store that is being filled is refused before a row is computed', async () => {
    const { post, state } = served();
    let computed = 0;
    const request = { rows: 4, width: 8, dtype: 'f32' as const, binding: { fgrams: 'f', model: 'm' } };
    await using store = await openFillingStore('memory:inspect-filling', request, async () => {
      computed += 1;
    });
    state.model = { ...state.model!, store };
    const response = await post('/inspect/verify', {});
    expect([response.status, await response.json()]).toMatchObject([409, { error: { code: 'store_incomplete' } }]);
    await expect(store.verify()).rejects.toMatchObject({ code: 'STORE_INCOMPLETE' });
    expect(computed).toBe(0);
  });
});

describe('the routes', () => {
  const { post, ask } = served();
  it('answer a plain decoder’s server, and name what is wrong', async () => {
    expect(await (await ask('/inspect/status')).json()).toMatchObject({ model: { id: 'tiny' }, queue: { slots: 4 } });
    const lines = (await (await post('/inspect/generate', { prompt: 'The', max_tokens: 3, alternatives: 2 })).text()).trim().split('\n');
    const kinds = lines.map((line) => JSON.parse(line).kind);
    expect(kinds).toEqual(['prompt', 'token', 'token', 'token', 'end']);
    expect(JSON.parse(lines[1]).token).toMatchObject({ loss: expect.any(Number), alternatives: [{}, {}] });
    const report = (await (await post('/inspect/text', { text: 'The café' })).json()) as { bytes: number; bitsPerByteWithout?: number };
    expect(report.bytes).toBe(9);
    expect(report.bitsPerByteWithout).toBeUndefined();
    expect(await (await ask('/inspect/runs')).json()).toEqual({ runs: [] });
    for (const [status, response] of [
      [404, ask('/inspect/fgrams')],
      [404, ask('/inspect/runs/x')],
      [404, post('/inspect/verify', {})],
      [400, post('/inspect/generate', { prompt: 'x', fgram_limit: 9 })],
      [400, post('/inspect/generate', { prompt: 'x', limit: 1 })],
      [400, post('/inspect/generate', { prompt: 'x'.repeat(400) })],
      [400, post('/inspect/text', { text: '' })],
      [400, post('/inspect/text', { text: 'x'.repeat(300_000) })],
    ] as const)
      expect((await response).status).toBe(status);
  });
});

it('without the inspector there is neither its page nor what it asks, and the API stays', async () => {
  const { ask, post, routes } = served({ noInspector: true });
  for (const response of [ask('/'), ask('/assets/x.js'), ask('/inspect/status'), ask('/inspect/runs'), post('/inspect/verify', {})])
    expect(await (await response).json()).toMatchObject({ error: { code: 'route_not_found' } });
  expect(routes.filter(({ path }) => path.startsWith('/inspect'))).toEqual([]);
  expect((await ask('/v1/models')).status).toBe(200);
  expect((await served().ask('/inspect/status')).status).toBe(200);
});
