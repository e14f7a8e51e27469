/** The statistics of an f-gram set as a page and as text for the terminal. */
import { formatTable } from '@sconelm/cli-kit';
import { type FgramStatistics, type HeldoutStatistics, visibleText } from '@sconelm/ngram-miner';
import { barChart, lineChart } from '../page/chart.js';
import { type Html, html, page, plainTable, type Table, table } from '../page/html.js';

const number = (value: number) => value.toLocaleString('en');
const percent = (share: number) => `${(100 * share).toFixed(share < 0.0995 ? 2 : 1)}%`;
const used = ({ usedFgrams }: HeldoutStatistics, size: number) => percent(size === 0 ? 0 : usedFgrams / size);
const percentTick = (share: number) => `${Number((100 * share).toPrecision(3))}%`;

/** By length and by class; the same figures as `--json` gives. */
export function statisticsText({ size, cutOffCount, byLength, classes, heldout }: FgramStatistics): string {
  const lengths = byLength.map(({ length, fgrams, occurrences }) => {
    const matches = heldout?.byLength[length - 1];
    return [
      `${length} tokens`,
      number(fgrams),
      number(occurrences),
      ...(matches === undefined || heldout === undefined ? [] : [percent(matches.hitRate), percent(matches.longest / heldout.tokens)]),
    ];
  });
  const head = ['', 'f-grams', 'occurrences', ...(heldout === undefined ? [] : ['hit rate', 'longest match'])];
  const tops = classes.byClass.flatMap(({ name, fgrams, top }) =>
    fgrams === 0
      ? []
      : [
          `${name}: ${number(fgrams)}; ${top
            .slice(0, 8)
            .map(({ text, count }) => `${visibleText(text)} ${number(count)}`)
            .join('  ')}`,
        ],
  );
  return [
    `${number(size)} f-grams, cut off at a count of ${number(cutOffCount)}\n`,
    formatTable([head, ...lengths]),
    heldout === undefined
      ? 'no held-out text\n'
      : `${number(heldout.tokens)} held-out tokens: an f-gram ends at ${percent(heldout.hitRate)}, ${percent(heldout.coverage)} are inside of one, mean match length ${heldout.meanMatchLength.toFixed(2)}, ${used(heldout, size)} of the f-grams are used\n`,
    ...tops.map((line) => `${line}\n`),
  ].join('');
}

/** @param title names the set; text */
export function statisticsPage(title: string, statistics: FgramStatistics): string {
  const { size, maxLength, hash, heldout } = statistics;
  return page(title, [
    keyFigures(statistics),
    html`<h2>What the set is made of</h2>
<div class="plots">${[countPlot(statistics), lengthPlot(statistics)]}</div>`,
    html`<h2>On held-out text</h2>`,
    heldout === undefined
      ? html`<p>The dataset has no held-out text.</p>`
      : html`<p>An f-gram is a hit where it ends. Matches reach back to the start of the document, over ${maxLength} tokens at most.</p>
<div class="plots">${[hitPlot(heldout), matchPlot(heldout), growthPlot(heldout)]}</div>`,
    html`<h2>The most frequent f-grams by class</h2>`,
    topTables(statistics),
    html`<p class="note">F-gram set ${hash}, ${number(size)} f-grams.</p>`,
  ]);
}

function keyFigures({ size, maxLength, cutOffCount, occurrences, heldout }: FgramStatistics): Html {
  const figures: [string, string][] = [
    ['f-grams', number(size)],
    ['longest, tokens', number(maxLength)],
    ['cut-off count', number(cutOffCount)],
    ['occurrences', number(occurrences)],
  ];
  if (heldout !== undefined) {
    figures.push(
      ['held-out tokens', number(heldout.tokens)],
      ['hit rate', percent(heldout.hitRate)],
      ['mean match length', heldout.meanMatchLength.toFixed(2)],
      ['tokens inside a match', percent(heldout.coverage)],
      ['f-grams used', used(heldout, size)],
    );
  }
  return html`<dl>${figures.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

interface Plot {
  readonly title: string;
  readonly about: string;
  readonly chart: Html;
  readonly data: Pick<Table, 'head' | 'rows'>;
}

const figure = ({ title, about, chart, data }: Plot) => html`<figure><h3>${title}</h3>${chart}<figcaption>${about}</figcaption>
<details><summary>${title} as a table</summary>${table({ caption: title, ...data })}</details></figure>`;

function countPlot({ countByRank }: FgramStatistics): Html {
  return figure({
    title: 'Count by rank',
    about: 'How often the f-gram of each rank occurs in the training text; it ends at the cut-off.',
    chart: lineChart({
      title: 'Count by rank, both logarithmic',
      x: { label: 'rank', scale: 'log' },
      y: { label: 'count', scale: 'log' },
      series: [{ label: 'count', points: countByRank.map(({ id, count }) => [id + 1, count]) }],
    }),
    data: { head: ['rank', 'count'], rows: countByRank.map(({ id, count }) => [number(id + 1), number(count)]) },
  });
}

function lengthPlot({ byLength, occurrences: all }: FgramStatistics): Html {
  return figure({
    title: 'F-grams by length',
    about: 'There is one ranking for all lengths, so the text decides how many of each are kept.',
    chart: barChart({
      title: 'Number of f-grams by length',
      x: 'tokens',
      y: { label: 'f-grams' },
      bars: byLength.map(({ length, fgrams }) => ({ label: String(length), value: fgrams })),
    }),
    data: {
      head: ['tokens', 'f-grams', 'occurrences', 'share of occurrences'],
      rows: byLength.map(({ length, fgrams, occurrences }) => [
        length,
        number(fgrams),
        number(occurrences),
        percent(all === 0 ? 0 : occurrences / all),
      ]),
    },
  });
}

function hitPlot({ byLength }: HeldoutStatistics): Html {
  const rates = byLength.slice(1);
  return figure({
    title: 'Hit rate by length',
    about: 'Share of positions where some f-gram of this length ends.',
    chart: barChart({
      title: 'Hit rate by length on held-out text',
      x: 'tokens',
      y: { label: 'positions', format: percentTick },
      bars: rates.map(({ length, hitRate }) => ({ label: String(length), value: hitRate })),
    }),
    data: { head: ['tokens', 'hit rate'], rows: rates.map(({ length, hitRate }) => [length, percent(hitRate)]) },
  });
}

function matchPlot({ byLength, tokens }: HeldoutStatistics): Html {
  const name = (length: number) => (length === 1 ? 'none' : String(length));
  return figure({
    title: 'Length of the longest match',
    about: 'Share of positions by the longest f-gram that ends there, which is the one a model looks up.',
    chart: barChart({
      title: 'Positions by the length of their longest match',
      x: 'tokens',
      y: { label: 'positions', format: percentTick },
      bars: byLength.map(({ length, longest }) => ({ label: name(length), value: longest / tokens })),
    }),
    data: {
      head: ['tokens', 'positions', 'share'],
      rows: byLength.map(({ length, longest }) => [name(length), number(longest), percent(longest / tokens)]),
    },
  });
}

function growthPlot({ growth }: HeldoutStatistics): Html {
  const lengths = growth[0]?.hitRates.map((_, i) => i + 2) ?? [];
  return figure({
    title: 'Hit rate as the set grows',
    about: 'What the set would cover if only its first f-grams were kept: how large a set pays.',
    chart: lineChart({
      title: 'Hit rate by the number of f-grams that are kept, a line per least length',
      x: { label: 'f-grams kept', scale: 'log' },
      y: { label: 'positions', from: 0, format: percentTick },
      series: lengths.map((length, i) => ({
        label: `${length} tokens${i === lengths.length - 1 ? '' : ' or more'}`,
        points: growth.map(({ fgrams, hitRates }) => [fgrams, hitRates[i]]),
      })),
    }),
    data: {
      head: ['f-grams kept', ...lengths.map((length) => `${length}+`), 'mean match length'],
      rows: growth.map(({ fgrams, hitRates, meanMatchLength }) => [number(fgrams), ...hitRates.map(percent), meanMatchLength.toFixed(2)]),
    },
  });
}

function topTables({ classes: { classified, byClass }, size }: FgramStatistics): Html {
  const among = classified < size ? `the first ${number(classified)} f-grams` : 'all f-grams';
  const tables = byClass
    .filter(({ fgrams }) => fgrams > 0)
    .map(
      ({ name, fgrams, top }) =>
        html`<section>${plainTable({
          caption: html`<h3>${name[0].toUpperCase() + name.slice(1)}</h3>${number(fgrams)} f-grams, ${percent(fgrams / classified)}`,
          head: ['id', 'f-gram', 'tokens', 'count'],
          rows: top.map(({ id, text, length, count }) => [number(id), fgramText(text), length, number(count)]),
        })}</section>`,
    );
  return html`<p>Among ${among}. A class is a rule on the characters: white space and nothing else; numbers, with what stands between digits; code, which has brackets, operators or joins that prose does without; punctuation; words, with digits and punctuation; other, such as symbols and halves of characters. White space is shown as ␣ (blank), ↵ (line end), ⇥ (tab).</p>
<div class="classes">${tables}</div>`;
}

/** White space is lighter than what it separates. */
function fgramText(text: string): Html {
  const parts = visibleText(text).split(/([␣↵␍⇥]+)/u);
  return html`<bdi class="fgram">${parts.map((part, i) => (i % 2 === 1 ? html`<span class="blank">${part}</span>` : part))}</bdi>`;
}
