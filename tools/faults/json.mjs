/**
 * Hostile variants of a JSON text that a parser takes: every named case in every place, and random combinations of them.
 * They are texts, because a field twice, 1e400 or 1.0 is nothing that JSON.stringify would write.
 */

/** A piece of text in the place of a value. */
class Raw {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** Values that no field likes, by name. @type {Record<string, unknown>} */
export const hostileValues = {
  '-1': -1,
  1.5: 1.5,
  '1e400': new Raw('1e400'),
  '-0': new Raw('-0'),
  '2^53': 2 ** 53,
  '2^53 + 2': 2 ** 53 + 2,
  '2^32': 2 ** 32,
  '2^31': 2 ** 31,
  0: 0,
  null: null,
  true: true,
  'empty text': '',
  'NUL in a text': 'a\0b',
  'lone surrogate': new Raw('"\\ud800"'),
  '4 KB of text': 'x'.repeat(4096),
  'a number as text': '12',
  'path up': '../../etc/passwd',
  'absolute path': '/etc/passwd',
  'drive letter': 'C:\\Windows',
  'percent path': '%2e%2e%2fetc',
  'reserved name': 'CON',
  URL: 'https://evil.test/x',
  'empty list': [],
  'empty object': {},
  __proto__: new Raw('{"__proto__":{"polluted":true}}'),
  constructor: { constructor: { prototype: { polluted: true } } },
  'a field twice': new Raw('{"a":1,"a":2}'),
  'depth 100,000': new Raw('['.repeat(100_000) + ']'.repeat(100_000)),
  'a list of a million': new Raw(`[${'0,'.repeat(999_999)}0]`),
};

/** @typedef {{ readonly name: string, readonly text: string }} Variant */

/**
 * Each hostile value in each place, each field left out, twice, or beside `__proto__`, and texts that are cut or followed by more.
 * @param {unknown} valid @param {{ perList?: number }} [options] of a list only so many items are replaced
 * @returns {Generator<Variant>}
 */
export function* hostileVariants(valid, { perList = 2 } = {}) {
  for (const place of placesOf(valid, perList)) {
    const at = place.join('.') || 'the whole';
    for (const [name, value] of Object.entries(hostileValues))
      yield { name: `${at}: ${name}`, text: textOf(replaced(valid, place, value)) };
    if (place.length === 0) continue;
    yield { name: `${at} left out`, text: textOf(replaced(valid, place, undefined)) };
    const value = textOf(at === 'the whole' ? valid : valueAt(valid, place));
    const key = JSON.stringify(place.at(-1));
    yield { name: `${at} twice`, text: textOf(replaced(valid, place, new Raw(`${value},${key}:${value}`))) };
    yield { name: `${at} and __proto__`, text: textOf(replaced(valid, place, new Raw(`${value},"__proto__":{"polluted":true}`))) };
  }
  const text = textOf(valid);
  for (let cut = 0; cut < text.length; cut += Math.ceil(text.length / 40)) yield { name: `cut after ${cut}`, text: text.slice(0, cut) };
  for (const more of ['\0', '}', '{}', text]) yield { name: `followed by ${more.slice(0, 5)}`, text: text + more };
  yield { name: 'after a byte-order mark', text: `\ufeff${text}` };
}

/** A random combination of one to four hostile changes. @param {unknown} valid @param {import('./random.mjs').Random} random @returns {string} */
export function hostileText(valid, random) {
  const names = Object.keys(hostileValues).filter((name) => name !== 'depth 100,000' && name !== 'a list of a million');
  let value = valid;
  for (let changes = 1 + random.below(4); changes > 0; changes -= 1) {
    const places = [...placesOf(value, 3)];
    const place = places[random.below(places.length)];
    const kind = random.below(8);
    if (kind === 0 && place.length > 0) value = replaced(value, place, undefined);
    else if (kind === 1) value = replaced(value, place, valueAt(valid, places[random.below(places.length)]) ?? random.below(2 ** 31));
    else if (kind === 2) value = replaced(value, place, random.below(2) === 0 ? random.below(100) : random.next() * 2 ** random.below(64));
    else value = replaced(value, place, hostileValues[names[random.below(names.length)]]);
  }
  const text = textOf(value);
  if (random.below(10) > 0) return text;
  const at = random.below(text.length + 1);
  return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + random.below(3));
}

/** @param {unknown} value @param {number} perList @param {readonly string[]} [place] @returns {Generator<readonly string[]>} */
function* placesOf(value, perList, place = []) {
  yield place;
  if (typeof value !== 'object' || value === null || value instanceof Raw) return;
  const keys = Object.keys(value);
  for (const key of Array.isArray(value) ? keys.slice(0, perList) : keys) {
    yield* placesOf(/** @type {Record<string, unknown>} */ (value)[key], perList, [...place, key]);
  }
}

/** @param {unknown} value @param {readonly string[]} place @returns {unknown} */
function valueAt(value, place) {
  return place.reduce((/** @type {any} */ inner, key) => inner?.[key], value);
}

/** @param {unknown} value @param {readonly string[]} place @param {unknown} by @returns {unknown} */
function replaced(value, [key, ...rest], by) {
  if (key === undefined) return by;
  const inner = /** @type {any} */ (value);
  const changed = replaced(inner[key], rest, by);
  if (Array.isArray(inner)) return inner.map((item, index) => (String(index) === key ? changed : item));
  return { ...inner, [key]: changed };
}

/** @param {unknown} value @returns {string} */
function textOf(value) {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map((item) => textOf(item === undefined ? null : item)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${textOf(field)}`).join(',')}}`;
}

/**
 * What a text says if it is an object of JSON that can be written again, for manifests with a checksum over their content: such a variant gets
 * a right one, so that the checks behind it are tried.
 * @param {string} text @returns {Record<string, unknown> | undefined}
 */
export function objectIn(text) {
  try {
    const value = JSON.parse(text);
    JSON.stringify(value); // fails where it is too deep
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
