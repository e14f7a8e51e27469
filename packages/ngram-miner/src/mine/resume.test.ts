import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import type { TokenCorpus } from '../tokens/corpus.js';
import { mine } from './mine.js';
import { PartialWork } from './partial.js';

const folder = mkdtempSync(path.join(tmpdir(), 'resume-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Documents whose tokens are the likelier the lower they are. */
function writeShard(name: string, tokens: number, seed: number): { path: string; tokens: number } {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const shard = Uint16Array.from({ length: tokens }, (_, i) => (i % 500 === 0 ? 0 : 1 + Math.floor(random() ** 3 * 998)));
  writeFileSync(path.join(folder, name), shard);
  return { path: path.join(folder, name), tokens };
}

const shards = [writeShard('a', 90_000, 1), writeShard('b', 50_500, 2), writeShard('c', 500, 3)];
const corpus: TokenCorpus = { shards, dtype: 'u16', blockBytes: 8192, vocabSize: 1000, boundary: 0 };
const options = { maxLength: 4, minCount: 3, maxFgrams: 50_000, workers: 2 };
/** More than ten steps. */
const small = { ...options, workBytes: 150_000 };
const bytesOf = (directory: string) => readFileSync(path.join(directory, 'fgrams.bin'));
const at = (name: string) => path.join(folder, name);

describe('mining', () => {
  it('gives the same bytes for 1 to 8 workers, any memory, any order and size of shards', async () => {
    await mine(corpus, { ...options, directory: at('whole') });
    const expected = bytesOf(at('whole'));
    const cut = [...new Uint16Array(readFileSync(shards[0].path).buffer.slice(0, 180_000))];
    const pieces = [cut.slice(0, 30_000), cut.slice(30_000, 30_500), cut.slice(30_500)].map((tokens, i) => {
      writeFileSync(at(`piece-${i}`), Uint16Array.from(tokens));
      return { path: at(`piece-${i}`), tokens: tokens.length };
    });
    const forms = [
      { shards: [...shards].reverse(), workers: 1, workBytes: 300_000 },
      { shards: [shards[2], ...pieces, shards[1]], workers: 3, workBytes: 2_000_000 },
      { shards, workers: 5, workBytes: 200_000 },
      { shards, workers: 8, workBytes: 10_000_000 },
    ];
    for (const [i, { shards: own, ...form }] of forms.entries()) {
      await mine({ ...corpus, shards: own }, { ...options, ...form, directory: at(`form-${i}`) });
      expect(bytesOf(at(`form-${i}`)).equals(expected)).toBe(true);
    }
  });

  it('killed at any moment, the same command goes on from the last finished step, to the same bytes', async () => {
    const directory = at('killed');
    const code = `import { mine } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
      await mine(${JSON.stringify(corpus)}, ${JSON.stringify({ ...small, directory })});`;
    let before = 0;
    let kills = 0;
    // A quick machine may come to the end before the third kill.
    for (; kills < 3 && !existsSync(directory); kills++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' });
      const ended = once(child, 'exit');
      // Until one more step is finished at least.
      const done = () =>
        (existsSync(`${directory}.partial`) ? readdirSync(`${directory}.partial`) : []).filter((name) => /^step-\d+\.json$/.test(name))
          .length;
      while (done() <= before && child.exitCode === null) await setTimeout(2);
      child.kill('SIGKILL');
      await ended;
      if (existsSync(directory)) break;
      expect(done()).toBeGreaterThan(before);
      before = done();
    }
    expect(kills).toBeGreaterThan(0);
    let finished = 0;
    const onPlan = (plan: { finished: number }) => {
      finished = plan.finished;
    };
    await mine(corpus, { ...small, directory, onPlan });
    if (kills === 3) expect(finished).toBe(before);
    expect(bytesOf(directory).equals(bytesOf(at('whole')))).toBe(true);
    expect(readdirSync(folder).filter((name) => name.includes('killed'))).toEqual(['killed']);
  });

  it('interrupted, goes on; other options and a second writer are refused', async () => {
    const directory = at('interrupted');
    const abort = new AbortController();
    const reason = new Error('interrupted');
    let reports = 0;
    const onProgress = ({ stage }: { stage: string }) => {
      if (stage === 'counting n-grams' && ++reports === 4) abort.abort(reason);
    };
    await expect(mine(corpus, { ...small, directory, onProgress, signal: abort.signal })).rejects.toBe(reason);
    await expect(mine(corpus, { ...small, directory, minCount: 4 })).rejects.toMatchObject({ code: 'MINE_PARTIAL' });
    {
      await using _ = await PartialWork.open(directory);
      await expect(mine(corpus, { ...small, directory })).rejects.toMatchObject({ code: 'ARTIFACT_LOCKED' });
    }
    await mine(corpus, { ...small, directory });
    expect(bytesOf(directory).equals(bytesOf(at('whole')))).toBe(true);
  });
});
