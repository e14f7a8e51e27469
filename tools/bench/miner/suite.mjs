/** Mining, tokenizing and matching against databases, counters and libraries; every engine in a process of its own, every answer compared. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { answerOfColumns, answerOfGoogleTable, answerOfParquet, hashAnswer } from './answer.mjs';
import { CACHE, openCorpus, parseTokens, quickstartCorpus } from './corpus.mjs';
import { duckdbKeys, fgramsJson, gpt2Json, heldOut, minedSet, nativeKeys, sampleText, wordsText } from './inputs.mjs';
import { runMeasured } from './measured.mjs';

/** @typedef {import('./inputs.mjs').Corpus} Corpus */
/** @typedef {import('../report.mjs').Measurement} Measurement */
/**
 * @typedef {object} Run how an engine does a case
 * @property {readonly string[]} command
 * @property {object} spec
 * @property {(result: any) => Promise<{ hash: string } & Record<string, unknown>>} [answer] made comparable, after the measurement
 */
/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} unit
 * @property {(taken: import('./measured.mjs').Taken) => number} value what is compared
 * @property {number} rounds at most
 * @property {(corpus: Corpus, scratch: string) => Promise<Record<string, () => Promise<Run>>>} engines by name
 */

const MIN_COUNT = 5;
const NGT = ['/usr/lib/irstlm/bin/ngt', '/usr/bin/ngt'];
const file = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));
const node = (/** @type {string} */ name, /** @type {string[]} */ ...args) => [
  process.execPath,
  '--no-warnings',
  '--max-old-space-size=14000',
  file(name),
  ...args,
];

/** @param {string} name @param {number} limit tokens @param {{ maxLength?: number, peers: readonly string[], rounds: number }} options @returns {Case} */
const mining = (name, limit, { maxLength = 5, peers, rounds }) => ({
  name,
  unit: 'CPU s',
  value: ({ cpuSeconds }) => cpuSeconds,
  rounds,
  async engines(whole, scratch) {
    const corpus = firstTokens(whole, limit);
    const options = { maxLength, minCount: MIN_COUNT };
    const answer = path.join(scratch, 'answer');
    const hashed = async () => ({ ...(await hashAnswer(answer, maxLength)), tokens: corpus.tokens });
    /** @type {Record<string, () => Promise<Run>>} */
    const all = {
      scone: async () => {
        const columns = path.join(scratch, 'fgrams');
        return {
          command: node('scone-mine.mjs'),
          spec: { corpus, ...options, columns },
          answer: async ({ size, countBytes, passes, publishCpuSeconds }) => {
            answerOfColumns(columns, answer, { size, countBytes, maxLength, vocabSize: corpus.vocabSize });
            return { ...(await hashed()), passes, publishCpuSeconds };
          },
        };
      },
      clickhouse: async () => ({
        command: node('../peers/clickhouse-mine.mjs'),
        spec: { keys: await nativeKeys(corpus, maxLength), answer, ...options },
        answer: hashed,
      }),
      duckdb: async () => {
        const parquet = path.join(scratch, 'answer.parquet');
        const memoryMB = Math.round((os.totalmem() / 1e6) * 0.7);
        return {
          command: node('../peers/duckdb-mine.mjs'),
          spec: { database: await duckdbKeys(corpus, maxLength), parquet, memoryMB, ...options },
          answer: async () => {
            answerOfParquet(parquet, answer, maxLength);
            return hashed();
          },
        };
      },
      irstlm: async () => {
        const ngt = NGT.find(existsSync) ?? process.env.SCONELM_NGT;
        if (ngt === undefined) throw new Error('not installed: apt-get install irstlm');
        if (!existsSync('/usr/bin/time')) throw new Error('measured by GNU time, which is not installed: apt-get install time');
        const table = path.join(scratch, 'table');
        return {
          command: node('../peers/irstlm-mine.mjs'),
          spec: { ngt, words: await wordsText(corpus), table, maxLength },
          answer: async () => {
            await answerOfGoogleTable(table, answer, { maxLength, minCount: MIN_COUNT, boundary: corpus.boundary });
            return hashed();
          },
        };
      },
    };
    return Object.fromEntries(['scone', ...peers].map((engine) => [engine, all[engine]]));
  },
});

/** @type {Case} */
const tokenizing = {
  name: 'tokenize',
  unit: 'MB/s',
  value: ({ result }) => result.value,
  rounds: 3,
  async engines(corpus) {
    const spec = { text: await sampleText(corpus, 20), tokenizer: await gpt2Json(corpus) };
    const answer = async (/** @type {any} */ { hash, tokens, bytes }) => ({ hash, tokens, bytes });
    const peers = ['tiktoken', 'gpt-tokenizer', 'huggingface-native', 'huggingface-js'];
    return {
      scone: async () => ({ command: node('scone-tokenize.mjs'), spec, answer }),
      ...Object.fromEntries(peers.map((name) => [name, async () => ({ command: node('../peers/tokenize.mjs', name), spec, answer })])),
    };
  },
};

/** @param {string} name @param {number} size @param {boolean} bulk @returns {Case} */
const matchingCase = (name, size, bulk) => ({
  name,
  unit: bulk ? 'M tokens/s' : 'ns/token',
  value: ({ result }) => result.value,
  rounds: 3,
  async engines(corpus) {
    const { trained, text, tokens } = heldOut(corpus);
    const set = await minedSet(trained, size);
    const spec = { ...set, text, tokens, bulk, boundary: corpus.boundary, vocabSize: corpus.vocabSize };
    const answer = async (/** @type {any} */ { hash, hitRate, meanLength }) => ({ hash, hitRate, meanLength, fgrams: set.size });
    return {
      scone: async () => ({ command: node('scone-match.mjs'), spec, answer }),
      ...Object.fromEntries(
        ['map', 'trie'].map((peer) => [peer, async () => ({ command: node('../peers/match.mjs', peer), spec, answer })]),
      ),
    };
  },
});

/** @param {string} name @param {number} size @returns {Case} */
const loading = (name, size) => ({
  name,
  unit: 's',
  value: ({ result }) => result.value,
  rounds: 3,
  async engines(corpus) {
    const set = await minedSet(heldOut(corpus).trained, size);
    const answer = async (/** @type {any} */ result) => ({
      hash: String(result.size),
      fgrams: result.size,
      bytesPerFgram: result.bytesPerFgram,
    });
    return {
      scone: async () => ({ command: node('scone-load.mjs'), spec: set, answer }),
      json: async () => ({ command: node('../peers/load.mjs'), spec: { json: await fgramsJson(heldOut(corpus).trained, size) }, answer }),
    };
  },
});

const CASES = [
  mining('mine-50M', 50e6, { peers: ['clickhouse', 'duckdb', 'irstlm'], rounds: 3 }),
  mining('mine-full', Number.POSITIVE_INFINITY, { peers: ['clickhouse', 'duckdb'], rounds: 1 }),
  mining('mine-50M-k8', 50e6, { maxLength: 8, peers: ['clickhouse'], rounds: 3 }),
  tokenizing,
  matchingCase('match-bulk-1M', 1e6, true),
  matchingCase('match-bulk-10M', 1e7, true),
  matchingCase('match-step-1M', 1e6, false),
  matchingCase('match-step-10M', 1e7, false),
  loading('load-1M', 1e6),
  loading('load-10M', 1e7),
];

/** The first shards that hold so many tokens. @param {Corpus} corpus @param {number} limit @returns {Corpus} */
function firstTokens(corpus, limit) {
  const shards = [];
  let tokens = 0;
  for (const shard of corpus.shards) {
    if (tokens >= limit) break;
    shards.push(shard);
    tokens += shard.tokens;
  }
  return { shards, tokens, vocabSize: corpus.vocabSize, boundary: corpus.boundary };
}

const median = (/** @type {number[]} */ xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];

/** @type {import('../report.mjs').Area} */
export const area = {
  engine: 'scone',
  engines: [
    'scone',
    'clickhouse',
    'duckdb',
    'irstlm',
    'tiktoken',
    'gpt-tokenizer',
    'huggingface-native',
    'huggingface-js',
    'map',
    'trie',
    'json',
  ],
  cases: CASES.map(({ name }) => name),
  async measure({ engines, cases, rounds, tokens, say }) {
    const corpus = openCorpus(tokens === undefined ? undefined : parseTokens(tokens)) ?? (await quickstartCorpus());
    say(`corpus: ${corpus.tokens.toLocaleString('en')} tokens in ${corpus.directory}`);
    if (corpus.tokens < 10e6)
      say('  little text: node tools/bench/miner/corpus.mjs builds a corpus of 285M tokens from documentation packages (ten minutes)');
    /** @type {Measurement[]} */
    const measurements = [];
    for (const one of CASES.filter(({ name }) => cases.includes(name))) {
      const scratch = mkdtempSync(path.join(CACHE, 'run-'));
      try {
        measurements.push(...(await measureCase(one, { corpus, engines, rounds: Math.min(rounds, one.rounds), scratch, say })));
      } finally {
        rmSync(scratch, { recursive: true, force: true });
      }
    }
    return { measurements };
  },
};

/**
 * @param {Case} one
 * @param {{ corpus: Corpus, engines: readonly string[], rounds: number, scratch: string, say: (line: string) => void }} options
 * @returns {Promise<Measurement[]>}
 */
async function measureCase({ name, unit, value, engines: enginesOf }, { corpus, engines, rounds, scratch, say }) {
  const all = Object.entries(await enginesOf(corpus, scratch)).filter(([engine]) => engines.includes(engine));
  /** @type {Map<string, { values: number[], walls: number[], peaks: number[], answer?: Record<string, unknown>, note?: string }>} */
  const results = new Map(all.map(([engine]) => [engine, { values: [], walls: [], peaks: [] }]));
  for (let round = 0; round < rounds; round++) {
    for (const [engine, prepare] of all) {
      const result = /** @type {NonNullable<ReturnType<typeof results.get>>} */ (results.get(engine));
      if (result.note !== undefined) continue;
      try {
        const { command, spec, answer } = await prepare();
        const taken = await runMeasured(command, spec);
        result.values.push(value(taken));
        result.walls.push(taken.wallSeconds);
        result.peaks.push(taken.peakMB);
        result.answer ??= {
          ...(await answer?.(taken.result)),
          ...(taken.result.version === undefined ? {} : { version: taken.result.version }),
        };
      } catch (error) {
        result.note = /** @type {Error} */ (error).message;
      }
      for (const left of ['answer', 'answer.parquet', 'table', 'fgrams'])
        rmSync(path.join(scratch, left), { recursive: true, force: true });
    }
  }
  const expected = [...results.values()].find(({ answer }) => answer !== undefined)?.answer?.hash;
  return all.map(([engine]) => {
    const { values, walls, peaks, answer, note } = /** @type {NonNullable<ReturnType<typeof results.get>>} */ (results.get(engine));
    const own = values.length === 0 ? null : median(values);
    const disagrees = answer !== undefined && answer.hash !== expected;
    const facts =
      own === null ? undefined : { wallSeconds: median(walls), peakMB: Math.round(median(peaks)), rounds: values.length, ...answer };
    say(
      `  ${name.padEnd(16)} ${engine.padEnd(18)} ${own === null ? `- ${note}` : `${own.toFixed(2)} ${unit}, ${median(walls).toFixed(2)} s, ${Math.round(median(peaks))} MB${disagrees ? '  DISAGREES' : ''}`}`,
    );
    return {
      case: name,
      engine,
      unit,
      median: own,
      ...(disagrees ? { disagrees, note: 'its answer is not that of the first engine' } : note === undefined ? {} : { note }),
      ...(facts === undefined ? {} : { facts }),
    };
  });
}
