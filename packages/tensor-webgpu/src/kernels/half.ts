/**
 * f16 as a form of storage: kernels are written for f32, and where a binding holds f16 its loads are widened and its stores narrowed in the text.
 * So every kernel takes both, sums are f32, and there is one text to keep.
 */

/** The index of the bracket that closes the one at `open`. */
function closing(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '[') depth++;
    if (text[i] === ']' && --depth === 0) return i;
  }
  throw new Error('unreachable: a kernel with an open bracket');
}

/** `body` with every `name[..]` read as `type` (f32 or vec4f), and every value assigned to one stored as f16. */
export function widen(body: string, name: string, type: string): string {
  const stored = type === 'f32' ? 'f16' : 'vec4<f16>';
  const opening = new RegExp(`(?<![\\w.])${name}\\[`, 'g');
  let text = '';
  let done = 0;
  for (let match = opening.exec(body); match !== null; match = opening.exec(body)) {
    const open = match.index + match[0].length - 1;
    const close = closing(body, open);
    const access = `${name}[${widen(body.slice(open + 1, close), name, type)}]`;
    const store = /^\s*=(?!=)/.exec(body.slice(close + 1));
    text += body.slice(done, match.index);
    if (store === null) {
      text += `${type}(${access})`;
      done = close + 1;
    } else {
      const start = close + 1 + store[0].length;
      const end = body.indexOf(';', start);
      text += `${access} = ${stored}(${widen(body.slice(start, end), name, type)})`;
      done = end;
    }
    opening.lastIndex = done;
  }
  return text + body.slice(done);
}
