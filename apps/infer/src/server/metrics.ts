/** Metrics for Prometheus, in the words of vLLM behind `scone_`; the store adds its own. */
import { formatPrometheus } from '@sconelm/offload-store';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Engine } from '../engine/engine.js';
import type { RequestTimes } from '../engine/request.js';
import type { VerifiedRows } from '../verified-rows.js';
import type { ServedModel } from './served-model.js';

/** Seconds, from 1 ms on. */
const BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120];

export type Metrics = ReturnType<typeof createMetrics>;

/** @param served what the model is, once it is loaded */
export function createMetrics(served: () => Pick<ServedModel, 'engine' | 'store' | 'lookUps' | 'verified'> | undefined) {
  const registers = [new Registry()];
  const gauge = (name: string, help: string, value: (engine: Engine) => number) => {
    new Gauge({
      name: `scone_${name}`,
      help,
      registers,
      collect() {
        const engine = served()?.engine;
        this.set(engine === undefined ? 0 : value(engine));
      },
    });
  };
  const total = (name: string, help: string, value: (engine: Engine) => number) => {
    new Counter({
      name: `scone_${name}`,
      help,
      registers,
      collect() {
        const engine = served()?.engine;
        this.reset();
        this.inc(engine === undefined ? 0 : value(engine));
      },
    });
  };
  const seconds = (name: string, help: string) => new Histogram({ name: `scone_${name}_seconds`, help, buckets: BUCKETS, registers });
  gauge('num_requests_running', 'Sequences that have a slot', ({ status }) => status.running);
  gauge('num_requests_waiting', 'Sequences that wait for a slot', ({ status }) => status.waiting);
  gauge(
    'kv_cache_usage_perc',
    'Blocks of the key-value cache in use, as a share (1 is all)',
    ({ status }) => status.usedBlocks / status.blocks,
  );
  total('prompt_tokens_total', 'Tokens of prompts that were read', ({ status }) => status.promptTokens);
  total('generation_tokens_total', 'Tokens that were generated', ({ status }) => status.generatedTokens);
  total('prefix_cache_queries_total', 'Tokens of prompts that might have been in the cache', ({ status }) => status.prefixQueries);
  total('prefix_cache_hits_total', 'Tokens of prompts that were in the cache', ({ status }) => status.prefixHits);
  total(
    'num_preemptions_total',
    'Sequences that gave back their blocks of the cache before they were done',
    ({ status }) => status.preemptions,
  );
  total('engine_steps_total', 'Steps of the engine', ({ status }) => status.steps);
  new Counter({
    name: 'scone_fgram_lookups_total',
    help: 'Tokens that were looked up, by where their rows were (none: no f-gram ends there) and by the length of their f-grams',
    labelNames: ['tier', 'length'],
    registers,
    collect() {
      this.reset();
      for (const { tier, length, count } of served()?.lookUps ?? []) this.inc({ tier, length: String(length) }, count);
    },
  });
  const verified = (name: string, help: string, value: (rows: VerifiedRows) => number) => {
    new Counter({
      name: `scone_${name}`,
      help,
      registers,
      collect() {
        const rows = served()?.verified;
        this.reset();
        this.inc(rows === undefined ? 0 : value(rows));
      },
    });
  };
  verified('sampled_rows_total', 'Rows that were computed again and compared', ({ checked }) => checked);
  verified('sampled_row_mismatches_total', 'Of those, rows that were others', ({ mismatches }) => mismatches);
  const finished = new Counter({
    name: 'scone_request_success_total',
    help: 'Sequences that ended, by how',
    labelNames: ['finished_reason'],
    registers,
  });
  const responses = new Counter({ name: 'scone_http_responses_total', help: 'Responses, by status', labelNames: ['status'], registers });
  const [timeToFirst, between, endToEnd, queue, prefill, decode] = [
    seconds('time_to_first_token', 'From a request’s arrival to its first token'),
    seconds('inter_token_latency', 'Between tokens of a sequence'),
    seconds('e2e_request_latency', 'From a request’s arrival to its end'),
    seconds('request_queue_time', 'Waiting for a slot'),
    seconds('request_prefill_time', 'Reading the prompt'),
    seconds('request_decode_time', 'From first to last token'),
  ];
  return {
    /** A token came, `ms` after the one before, or after the arrival. */
    token: (ms: number, isFirst: boolean) => (isFirst ? timeToFirst : between).observe(ms / 1000),
    /** A sequence ended. */
    finish(reason: string, times?: RequestTimes) {
      finished.inc({ finished_reason: reason });
      if (times === undefined) return;
      queue.observe(times.queued / 1000);
      prefill.observe(times.prefill / 1000);
      decode.observe(times.decode / 1000);
      endToEnd.observe((times.queued + times.prefill + times.decode) / 1000);
    },
    response: (status: number) => responses.inc({ status: String(status) }),
    async text(): Promise<string> {
      const store = served()?.store;
      return `${await registers[0].metrics()}${store === undefined ? '' : formatPrometheus(store.metrics)}`;
    },
  };
}
