/** The experiments. Sizes are such that each grid ends within an hour or two on two cores without a GPU. */
import { BAND_NAMES } from '../run/count-bands.js';
import type { Experiment, GridRun, RunResult } from './grid.js';

const MAIN = 999_936;
const HALF = 499_712;
const SET = { maxLength: 4, maxFgrams: 100_000 };
const SEEDS = [1, 2, 3];

const whole = (id: string, options: GridRun['options'], fgrams = SET): GridRun => ({ id, corpus: 'whole', fgrams, options });
const main = (id: string, seed: number, options: GridRun['options']) => whole(`${id}-seed-${seed}`, { tokens: MAIN, seed, ...options });
const half = (maxLength: number, maxFgrams: number, fgramLayers: number) =>
  whole(`half-k${maxLength}-s${maxFgrams}-a${fgramLayers}`, { tokens: HALF, fgramLayers }, { maxLength, maxFgrams });

const LARGER = { plain: true, width: 96, heads: 3 };
const baseline = (seed: number) => main('baseline', seed, { plain: true });
const scone = (seed: number) => main('scone', seed, {});
const larger = (seed: number) => main('larger', seed, LARGER);
const residual = (seed: number) => main('scone-residual', seed, { rows: 'residual' });

const lossOf = ({ inDomain }: RunResult) => inDomain.loss / inDomain.count;
const perplexity = (result: RunResult) => Math.exp(lossOf(result));
const number = (value: number, digits = 1) => value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const percent = (ratio: number) => `${ratio < 1 ? '−' : '+'}${number(100 * Math.abs(ratio - 1))}%`;
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Pairs of what was asked for and its result, where there is one. */
function found<Key>(keys: readonly Key[], idOf: (key: Key) => string, result: (id: string) => RunResult | undefined): [Key, RunResult][] {
  return keys.flatMap((key): [Key, RunResult][] => {
    const value = result(idOf(key));
    return value === undefined ? [] : [[key, value]];
  });
}

const mainClaim: Experiment = {
  name: 'main',
  title: 'SCONE against decoders of the same and of about twice the size',
  question: 'Does SCONE beat the same decoder, and one of about twice the inference FLOPs, on the same tokens?',
  runs: SEEDS.flatMap((seed) => [baseline(seed), scone(seed), residual(seed), larger(seed)]),
  findings(result) {
    const forms = [
      ['baseline', baseline],
      ['SCONE', scone],
      ['SCONE, residual rows', residual],
      ['larger', larger],
    ] as const;
    const columns = forms.map(([label, of]) => ({ label, found: found(SEEDS, (seed) => of(seed).id, result) }));
    const row = (name: string, of: (results: readonly RunResult[]) => string) => [
      name,
      ...columns.map((column) => (column.found.length === 0 ? '' : of(column.found.map(([, value]) => value)))),
    ];
    // Runs of one seed see the same tokens in the same order: they are compared with each other.
    const against = (name: string, other: number) => [
      name,
      ...columns.map((column) => {
        const ratios = column.found.flatMap(([seed, value]) =>
          columns[other].found.flatMap(([same, reference]) => (same === seed ? [perplexity(value) / perplexity(reference)] : [])),
        );
        return ratios.length === 0 ? '' : percent(mean(ratios));
      }),
    ];
    return {
      table: [
        ['', ...columns.map(({ label }) => label)],
        ...SEEDS.map((seed) => [
          `perplexity, seed ${seed}`,
          ...columns.map((column) => column.found.flatMap(([of, value]) => (of === seed ? [number(perplexity(value))] : []))[0] ?? ''),
        ]),
        row('perplexity, mean', (results) => number(mean(results.map(perplexity)))),
        row('bits per byte, mean', (results) => number(mean(results.map(({ bitsPerByte }) => bitsPerByte)), 3)),
        against('against the baseline', 0),
        against('against the larger', 3),
        row('inference FLOPs per token', ([{ inferenceFlops }]) => number(inferenceFlops, 0)),
        row('parameters on the accelerator', ([{ decoderParameters }]) => number(decoderParameters, 0)),
        row('training FLOPs', ([{ trainingFlops }]) => trainingFlops.toExponential(2)),
      ],
      plots: [],
    };
  },
};

const SIZES = [1000, 3000, 10_000, 30_000, 100_000];
const LAYERS = [1, 2, 4, 6];

const size: Experiment = {
  name: 'size',
  title: 'How many f-grams, and how large an f-gram model',
  question: 'Does held-out perplexity fall with the number of f-grams S and with the depth of A (0.5, 1, 2 and 3 times the decoder’s)?',
  runs: [...SIZES.map((S) => half(4, S, 2)), ...LAYERS.filter((layers) => layers !== 2).map((layers) => half(4, 100_000, layers))],
  findings(result) {
    const bySize = found(SIZES, (S) => half(4, S, 2).id, result);
    const byLayers = found(LAYERS, (layers) => half(4, 100_000, layers).id, result);
    const row = (name: string, value: RunResult) => [
      name,
      number(perplexity(value)),
      number(100 * (1 - (value.byLength['1']?.count ?? 0) / value.inDomain.count)),
      number(value.nodesPerToken, 2),
      value.trainingFlops.toExponential(2),
    ];
    return {
      table: [
        ['', 'perplexity', 'hit rate, %', 'forest nodes per token', 'training FLOPs'],
        ...bySize.map(([S, value]) => row(`S = ${number(S, 0)}, A of 2 layers`, value)),
        ...byLayers.map(([layers, value]) => row(`S = 100,000, A of ${layers} layer${layers === 1 ? '' : 's'}`, value)),
      ],
      plots: [
        {
          ...{ name: 'fgrams', title: 'Perplexity by number of f-grams', y: 'held-out perplexity' },
          x: { label: 'f-grams, S', scale: 'log' },
          series: [{ label: 'SCONE', points: bySize.map(([S, value]) => [S, perplexity(value)] as const) }],
        },
        {
          ...{ name: 'layers', title: 'Perplexity by size of A', y: 'held-out perplexity' },
          x: { label: 'layers of A over layers of the decoder' },
          series: [{ label: 'SCONE', points: byLayers.map(([layers, value]) => [layers / 2, perplexity(value)] as const) }],
        },
      ],
    };
  },
};

const LENGTHS = [2, 3, 4, 5, 6];

const length: Experiment = {
  name: 'length',
  title: 'The longest f-gram, K',
  question: 'Is perplexity lower with longer f-grams, at the same number of them?',
  runs: LENGTHS.map((K) => half(K, 100_000, 2)),
  findings(result) {
    const byLength = found(LENGTHS, (K) => half(K, 100_000, 2).id, result);
    return {
      table: [
        ['K', 'f-grams', 'perplexity', 'mean match length', 'forest nodes per token', 'tokens per token, every f-gram alone'],
        ...byLength.map(([K, value]) => [
          String(K),
          number(value.fgrams, 0),
          number(perplexity(value)),
          number(Object.entries(value.byLength).reduce((sum, [n, { count }]) => sum + Number(n) * count, 0) / value.inDomain.count, 2),
          number(value.nodesPerToken, 2),
          number(value.paddedPerToken, 2),
        ]),
      ],
      plots: [
        {
          ...{ name: 'length', title: 'Perplexity by K', y: 'held-out perplexity' },
          x: { label: 'longest f-gram, K' },
          series: [{ label: 'SCONE', points: byLength.map(([K, value]) => [K, perplexity(value)] as const) }],
        },
      ],
    };
  },
};

const EPOCHS = 3;
/** Steps of 512 tokens that make an epoch of the tenth. */
const EPOCH_STEPS = 607;
const SOURCES = [
  ['baseline', 'baseline', { plain: true }],
  ['A', 'model', {}],
  ['table', 'table', { rows: 'table' }],
  ['A + residual rows', 'residual', { rows: 'residual' }],
] as const;
const epochRun = (id: string, options: GridRun['options']): GridRun => ({
  ...{ id: `epochs-${id}`, corpus: 'tenth', fgrams: SET },
  options: { tokens: EPOCHS * EPOCH_STEPS * 512, evaluateEvery: EPOCH_STEPS, evaluateTokens: 200_000, ...options },
});

/** One column per run. */
function sourceTable(columns: readonly (readonly [string, RunResult])[]): string[][] {
  const row = (name: string, of: (value: RunResult) => string) => [name, ...columns.map(([, value]) => of(value))];
  const group = (value: { readonly count: number; readonly loss: number } | undefined) =>
    value === undefined || value.count === 0 ? '' : number(value.loss / value.count, 3);
  return [
    ['', ...columns.map(([label]) => label)],
    row('perplexity', (value) => number(perplexity(value))),
    row('bits per byte', (value) => number(value.bitsPerByte, 3)),
    row('bits per byte on other text', ({ outOfDomainBitsPerByte: bits }) => (bits === undefined ? '' : number(bits, 3))),
    ...BAND_NAMES.map((band) => row(`loss, ${band}`, ({ byCount }) => group(byCount[band]))),
    row('trained parameters', ({ trainedParameters }) => number(trainedParameters, 0)),
    row('bytes of these and their optimiser state', ({ trainedParameters }) => `${number((12 * trainedParameters) / 1e6)} MB`),
    row('parameters on the accelerator in inference', ({ decoderParameters }) => number(decoderParameters, 0)),
    row('training FLOPs', ({ trainingFlops }) => trainingFlops.toExponential(2)),
  ];
}

const rows: Experiment = {
  name: 'rows',
  title: 'The f-gram model, a plain table, and both, over three epochs',
  question:
    'A against a plain trainable table against A plus residual rows, as the same text is read again and again, in and out of domain',
  runs: SOURCES.map(([, id, options]) => epochRun(id, options)),
  findings(result) {
    const runs = found(SOURCES, ([, id, options]) => epochRun(id, options).id, result);
    return {
      table: sourceTable(runs.map(([[label], value]) => [label, value])),
      plots: [
        {
          ...{ name: 'epochs', title: 'Perplexity by epochs', y: 'held-out perplexity' },
          x: { label: 'epochs' },
          series: runs.map(([[label], { curve }]) => ({
            label,
            points: curve.map(({ tokens, loss }) => [tokens / EPOCH_STEPS / 512, Math.exp(loss)] as const),
          })),
        },
      ],
    };
  },
};

const FORMS = [
  ['replace', scone(1)],
  ['add', main('scone-add', 1, { combine: 'add' })],
  ['gated', main('scone-gated', 1, { combine: 'gated' })],
  ['table', main('scone-table', 1, { rows: 'table' })],
  ['A + residual rows', residual(1)],
  ['A + residual rows, the 10,000 most frequent', main('scone-residual-10000', 1, { rows: 'residual', tableRows: 10_000 })],
  ['A + residual rows, dropout 0.1', main('scone-residual-dropout', 1, { rows: 'residual', fgramDropout: 0.1 })],
] as const;

const combine: Experiment = {
  name: 'combine',
  title: 'What a row is made of',
  question:
    'Replace, add or gate; and within a third of an epoch of the whole corpus: table, residual rows, of some f-grams only, with dropout',
  runs: [baseline(1), ...FORMS.map(([, run]) => run)],
  findings(result) {
    const forms = [['baseline', baseline(1)] as const, ...FORMS];
    const values = found(forms, ([, run]) => run.id, result).map(([[label], value]) => [label, value] as const);
    const [header, ...table] = sourceTable(values);
    // Runs side by side are too wide for a page: one row each.
    return { table: header.map((_, column) => [header, ...table].map((row) => row[column])), plots: [] };
  },
};

const DTYPES = ['f32', 'f16', 'bf16', 'int8', 'int4'];

const dtype: Experiment = {
  name: 'dtype',
  title: 'Row dtypes',
  question: 'What do smaller rows cost in perplexity, and save in bytes?',
  runs: [scone(1), residual(1)],
  extra: 'byDtype',
  findings(result) {
    const runs = found(this.runs, ({ id }) => id, result).filter(([, { byDtype }]) => byDtype !== undefined);
    return {
      table: [
        ['rows', 'bytes per row', ...runs.map(([{ options }]) => (options.rows === 'residual' ? 'A + residual rows' : 'A'))],
        ...DTYPES.map((name) => [
          name,
          String(runs[0]?.[1].byDtype?.[name]?.rowBytes ?? ''),
          ...runs.map(([, { byDtype }]) => (byDtype?.[name] === undefined ? '' : number(Math.exp(byDtype[name].loss), 3))),
        ]),
      ],
      plots: [],
    };
  },
};

/** A seed of its own: other windows than the decoder began with. */
const FURTHER = { tokens: HALF, seed: 2 };
const fromBaseline = (id: string, options: GridRun['options']): GridRun => ({
  ...whole(`from-baseline-${id}`, { ...FURTHER, ...options }),
  from: baseline(1),
});
const RETROFIT = [
  ['the decoder as it is', baseline(1)],
  ['trained on, without f-grams', fromBaseline('plain', { plain: true })],
  ['frozen, with an f-gram model', fromBaseline('frozen', { freezeMain: true })],
  ['frozen, with residual rows too', fromBaseline('frozen-residual', { freezeMain: true, rows: 'residual' })],
  ['trained on, with an f-gram model', fromBaseline('scone', {})],
] as const;

const retrofit: Experiment = {
  name: 'retrofit',
  title: 'An f-gram model for a decoder that is there',
  question: 'What does an f-gram model add to a pretrained decoder, frozen or trained on, in and out of domain?',
  runs: RETROFIT.map(([, run]) => run),
  findings(result) {
    const values = found(RETROFIT, ([, run]) => run.id, result);
    return {
      table: [
        [
          '',
          'perplexity',
          'bits per byte',
          'bits per byte on other text',
          'further tokens',
          'parameters that were trained',
          'training FLOPs of these tokens',
        ],
        ...values.map(([[label, { from, options }], value]) => [
          label,
          number(perplexity(value)),
          number(value.bitsPerByte, 3),
          value.outOfDomainBitsPerByte === undefined ? '' : number(value.outOfDomainBitsPerByte, 3),
          from === undefined ? '0' : number(value.trainingTokens, 0),
          from === undefined ? '0' : number(value.trainedParameters - (options.freezeMain ? value.decoderParameters : 0), 0),
          from === undefined ? '0' : value.trainingFlops.toExponential(2),
        ]),
      ],
      plots: [],
    };
  },
};

const PACKED = [
  ['decoder without f-grams', baseline(1)],
  ['SCONE', scone(1)],
  ['SCONE, residual rows', residual(1)],
  ['frozen decoder, f-gram model', fromBaseline('frozen', { freezeMain: true })],
] as const;

const pack: Experiment = {
  name: 'pack',
  title: 'Domain packs',
  question:
    'Rows of the trained f-gram model for the f-grams of another corpus, with no training on it: what do they bring there, and here?',
  runs: PACKED.map(([, run]) => run),
  extra: 'pack',
  findings(result) {
    const values = found(PACKED, ([, run]) => run.id, result);
    type Losses = NonNullable<RunResult['pack']>['own'];
    const row = (label: string, added: number, { inDomain, outOfDomain }: Losses) => [
      label,
      number(added, 0),
      ...[inDomain, outOfDomain].flatMap(({ loss, count, bitsPerByte, hitRate }) => [
        number(Math.exp(loss / count)),
        number(bitsPerByte, 3),
        number(100 * hitRate),
      ]),
    ];
    return {
      table: [
        ['', 'added f-grams', ...['in domain', 'other text'].flatMap((where) => [`perplexity, ${where}`, 'bits per byte', 'matched, %'])],
        ...values.flatMap(([[label], { pack: of }]) =>
          of === undefined
            ? []
            : [row(label, 0, of.own), ...(of.extended === undefined ? [] : [row(`${label}, with the pack`, of.added, of.extended)])],
        ),
      ],
      plots: [],
    };
  },
};

const COSTS = [
  ['forest', 'a forest'],
  ['alone', 'every f-gram alone'],
  ['padded', 'every f-gram padded to K tokens'],
] as const;

const forest: Experiment = {
  name: 'forest',
  title: 'Forest batches',
  question: 'What does a forest of shared prefixes save in a training step, against computing the f-gram of every position by itself?',
  runs: [scone(1)],
  extra: 'forest',
  findings(result) {
    const [{ id }] = this.runs;
    const costs = result(id)?.forest;
    return {
      table: [
        ['', 'f-gram model’s tokens per token', 'training FLOPs per token', 'ms per step', 'arena'],
        ...(costs === undefined
          ? []
          : COSTS.map(([form, label]) => {
              const { nodesPerToken, flopsPerToken, stepMs, arenaBytes } = costs[form];
              const against = (value: number, of: number) => (form === 'forest' ? '' : ` (${number(value / of, 2)}×)`);
              return [
                label,
                number(nodesPerToken, 2),
                `${number(flopsPerToken / 1e6, 2)}M${against(flopsPerToken, costs.forest.flopsPerToken)}`,
                `${number(stepMs)}${against(stepMs, costs.forest.stepMs)}`,
                `${number(arenaBytes / 1e6)} MB${against(arenaBytes, costs.forest.arenaBytes)}`,
              ];
            })),
      ],
      plots: [],
    };
  },
};

export const EXPERIMENTS: readonly Experiment[] = [mainClaim, size, length, rows, combine, dtype, retrofit, pack, forest];
