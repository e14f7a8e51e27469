/** Documentation as plain text: HTML, man pages and text files become paragraphs; navigation, listings of names and other languages go. */
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

const SKIPPED_TAGS = new Set([
  'script',
  'style',
  'head',
  'nav',
  'header',
  'footer',
  'svg',
  'iframe',
  'form',
  'noscript',
  'select',
  'button',
  'math',
]);
const SKIPPED_CLASSES =
  /(?:class|id|role)\s*=\s*["']?[^"'>]*\b(?:nav(?:igation|header|footer|bar|row|list|path|tab)?|sidebar\w*|sphinxsidebar\w*|related|breadcrumbs?|footer|toc(?:tree-wrapper)?|contents-list|menu|headerlink|topnav|bottomnav|subnav\w*|searchbox|line-?numbers?|linenos)\b/i;
const BLOCKS =
  /^(?:p|div|br|li|ul|ol|dl|dt|dd|tr|table|h[1-6]|pre|blockquote|section|article|main|hr|title|body|tbody|thead|caption|figure|address)$/;
/** Closed by hand: a skipped element of these never ends. */
const VOID = /^(?:br|hr|img|input|meta|link|col|area|base|wbr|source)$/;
const TAG = /<!--[\s\S]*?-->|<(\/?)([a-zA-Z][a-zA-Z0-9:-]*)((?:[^>"']|"[^"]*"|'[^']*')*)>|<[!?][^>]*>/g;
const ENTITIES = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  ndash: '–',
  mdash: '—',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  hellip: '…',
  copy: '©',
  reg: '®',
  trade: '™',
  times: '×',
  middot: '·',
  bull: '•',
  rarr: '→',
  larr: '←',
  laquo: '«',
  raquo: '»',
  deg: '°',
  plusmn: '±',
  sect: '§',
  para: '¶',
  eacute: 'é',
  egrave: 'è',
  uuml: 'ü',
  ouml: 'ö',
  auml: 'ä',
  szlig: 'ß',
  le: '≤',
  ge: '≥',
  ne: '≠',
  minus: '−',
  infin: '∞',
  alpha: 'α',
  beta: 'β',
  gamma: 'γ',
  lambda: 'λ',
  mu: 'μ',
  pi: 'π',
  sigma: 'σ',
  epsilon: 'ε',
  shy: '',
};

/** @param {string} text */
const decodeEntities = (text) =>
  text.replace(/&(?:#[xX]([0-9a-fA-F]{1,6})|#(\d{1,7})|([a-zA-Z]+));/g, (whole, hex, decimal, name) => {
    if (name !== undefined) return /** @type {Record<string, string>} */ (ENTITIES)[name] ?? whole;
    const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return point > 0 && point < 0x110000 && (point < 0xd800 || point > 0xdfff) ? String.fromCodePoint(point) : '';
  });

/** At most one empty line between paragraphs, none at the ends. @param {string} text */
const tidy = (text) =>
  text
    .replace(/\r\n?/g, '\n')
    .replace(/[^\S\n]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim();

/** Prose as lines; pre-formatted text keeps its lines and loses their indentation. @param {string} html */
export function htmlToText(html) {
  let out = '';
  let from = 0;
  let pre = 0;
  /** The element being skipped and how deep its name is nested. */
  let skipped = '';
  let depth = 0;
  const add = (/** @type {string} */ raw) => {
    if (raw === '') return;
    const text = decodeEntities(raw).replaceAll('\u00a0', ' ').replaceAll('¶', '');
    out += pre > 0 ? text : text.replace(/\s+/g, ' ');
  };
  for (const match of html.matchAll(TAG)) {
    const [whole, close, rawName, attributes] = match;
    if (skipped === '') add(html.slice(from, match.index));
    from = match.index + whole.length;
    if (rawName === undefined) continue;
    const name = rawName.toLowerCase();
    if (skipped !== '') {
      if (name === skipped && !attributes.endsWith('/')) depth += close === '' ? 1 : -1;
      if (depth === 0) skipped = '';
      continue;
    }
    if (close === '' && !VOID.test(name) && !attributes.endsWith('/')) {
      if (SKIPPED_TAGS.has(name) || (name !== 'body' && name !== 'html' && name !== 'main' && SKIPPED_CLASSES.test(attributes))) {
        skipped = name;
        depth = 1;
        continue;
      }
    }
    if (name === 'pre') pre = Math.max(0, pre + (close === '' ? 1 : -1));
    if (name === 'td' || name === 'th') out += ' ';
    if (BLOCKS.test(name)) out += /^(?:br|li|tr|dt|dd)$/.test(name) ? '\n' : '\n\n';
  }
  if (skipped === '') add(html.slice(from));
  return tidy(out.replace(/\n +(?=\S)/g, '\n').replace(/ {9,}/g, ' '));
}

/** A man page without its macros: -man and -mdoc as far as prose needs. @param {string} roff */
export function manToText(roff) {
  const lines = [];
  let drop = false;
  for (const raw of roff.replace(/\\\n/g, '').split('\n')) {
    if (/^['.]\s*(?:de|ig|am)\b/.test(raw)) drop = true;
    if (drop) {
      if (/^\.\.\s*$/.test(raw)) drop = false;
      continue;
    }
    if (/^['.]\s*\\"/.test(raw) || /^['.]\s*(?:nr|ds|if|ie|el|ft|ad|hy|nh|ne|so|tr|in|ta|ll|ss|UR|UE|TS|TE|EQ|EN|\.)\b/.test(raw)) continue;
    let line = raw;
    const macro = /^['.]\s*([A-Za-z]{1,3})\b\s*(.*)$/.exec(raw);
    if (macro !== null) {
      const [, name, rest] = macro;
      if (/^(?:SH|SS|Sh|Ss|TH|Dt)$/.test(name)) lines.push('');
      if (/^(?:PP|LP|P|Pp|TP|IP|HP|sp|It|Bl|El|nf|fi|Bd|Ed|EX|EE|RS|RE)$/.test(name)) lines.push('');
      if (/^(?:IP|RS|RE|sp|Bl|Bd|Dd|Os)$/.test(name)) line = name === 'IP' ? rest.replace(/\s+\S+$/, '') : '';
      else line = rest;
      line = line.replace(/"/g, '').replace(/(^| )(?:Ar|Fl|Nm|Pa|Cm|Ic|Xr|Em|Sy|Li|Va|Fa|Fn|Vt|Ns|Op|Dv|Ev|Er|Ql|Dq|Sq|Pq)(?= )/g, '$1');
    } else if (raw.startsWith('.') || raw.startsWith("'")) continue;
    line = line
      .replace(/\\f(?:\[[^\]]*\]|\(..|.)/g, '')
      .replace(/\\s[-+]?\d+/g, '')
      .replace(/\\\((?:aq|cq)/g, "'")
      .replace(/\\\(lq|\\\(rq|\\\(dq|\\\*\(lq|\\\*\(rq/g, '"')
      .replace(/\\\(en/g, '–')
      .replace(/\\\(em/g, '—')
      .replace(/\\\(bu/g, '•')
      .replace(/\\\(co/g, '©')
      .replace(/\\\((..)|\\\[[^\]]*\]|\\\*\(..|\\\*./g, '')
      .replace(/\\e/g, '\u0001')
      .replace(/\\([-'`. ])/g, '$1')
      .replace(/\\[&|^/,~0%:cd{}ut]/g, '')
      .replace(/\\".*$/, '')
      .replaceAll('\u0001', '\\');
    lines.push(line);
  }
  return tidy(lines.join('\n'));
}

/** Pages that are lists of names or listings of code whatever their words are. */
const NOT_PROSE =
  /(?:^|\/)(?:_sources|_modules|_static|_images|search|class-use|src-html|images?)\/|(?:_source|-members|_8h|_8hpp|-tree|-frame|-use|genindex.*|index-all|py-modindex|allclasses.*|allpackages.*|overview-.*|classes|annotated|hierarchy|inherits|graph_legend|deprecated-list|constant-values|serialized-form|globals.*|functions.*|namespacemembers.*|files|dir_[0-9a-f]{8,}.*|doc-index.*|searchindex|todo|changelog.*|changes?|copyright|.*licen[cs]e.*|copying.*)\.(?:html?|xhtml|txt)(?:\.gz)?$/i;
/** Other languages by their folders and suffixes. */
const FOREIGN =
  /(?:^|[/._-])(?:de|fr|es|it|pt|pt[_-]br|ru|ja|zh|zh[_-](?:cn|tw)|ko|nl|sv|pl|cs|da|fi|hu|tr|el|uk|ro|ca|id|nb|sk|sl|hr|bg|lt|et|eu|gl|vi|fa|he|ar|eo|ko_KR|ja_JP|zh_CN|it_IT|es_ES)(?:[/._-](?:html?|txt|man\d)?|$)/;

const decoder = new TextDecoder('utf-8', { fatal: true });
const latin1 = new TextDecoder('latin1');

/**
 * A file of a documentation package as text.
 * @param {string} name inside the package
 * @param {Buffer} bytes
 * @returns {string | null} null where it is no document in prose
 */
export function documentOf(name, bytes) {
  if (NOT_PROSE.test(name) || FOREIGN.test(name)) return null;
  let content = bytes;
  let inner = name;
  if (name.endsWith('.gz')) {
    inner = name.slice(0, -3);
    content = gunzipSync(bytes);
  }
  const extension = path.extname(inner).toLowerCase();
  const isHtml = /^\.x?html?$/.test(extension);
  const isMan = /\/man\/man[1-9]/.test(inner) || /^\.[1-9](?:posix|perl|pm|tcl|erl)?$/.test(extension);
  const isText = /^\.(?:txt|text|rst|md|info|info-\d+|asciidoc|adoc|pod)$/.test(extension);
  if (!isHtml && !isMan && !isText) return null;
  let text;
  try {
    text = decoder.decode(content);
  } catch {
    text = latin1.decode(content);
  }
  if (text.includes('\0')) return null;
  text = isHtml ? htmlToText(text) : isMan ? manToText(text) : tidy(text.replaceAll('\u001f', '').replaceAll('\f', '\n'));
  return isEnglish(text) ? text : null;
}

const COMMON = new Set(
  'the of and to a in is for that this be are it as on with or if by an can from not you which at has will'.split(' '),
);

/** English prose by three counts: long enough, mostly letters, and one word in twelve is among the commonest. @param {string} text */
export function isEnglish(text) {
  if (text.length < 600) return false;
  const sample = text.length > 40_000 ? text.slice(10_000, 40_000) : text;
  const letters = sample.match(/[A-Za-z]/g)?.length ?? 0;
  const visible = sample.match(/\S/g)?.length ?? 1;
  if (letters < 0.7 * visible) return false;
  const words = sample.toLowerCase().match(/[a-z']+/g) ?? [];
  let common = 0;
  for (const word of words) if (COMMON.has(word)) common++;
  return words.length > 80 && common * 12 >= words.length;
}
