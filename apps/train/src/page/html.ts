/** HTML that escapes every text put into it, and the frame of our pages: one file that loads nothing and runs nothing. */
import { createHash } from 'node:crypto';
import { STYLE } from './style.js';

/** Markup; only `html` makes it. */
export class Html {
  constructor(readonly source: string) {}
}
export type HtmlValue = string | number | Html | undefined | readonly HtmlValue[];

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function sourceOf(value: HtmlValue): string {
  if (value instanceof Html) return value.source;
  if (Array.isArray(value)) return value.map(sourceOf).join('');
  return String(value ?? '').replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** A template whose values are text, between tags and in quoted attributes, unless they are markup themselves. */
export function html(template: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(template.map((markup, i) => markup + (i < values.length ? sourceOf(values[i]) : '')).join(''));
}

/** Even markup that slipped through could neither run nor fetch. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`;

/** A whole page. */
export function page(title: string, content: HtmlValue): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body><main>
<h1>${title}</h1>
${content}
</main></body>
</html>
`.source;
}

export interface Table {
  readonly caption: HtmlValue;
  readonly head: readonly HtmlValue[];
  /** The first cell names the row. */
  readonly rows: readonly (readonly HtmlValue[])[];
}

/** A table that scrolls sideways, by keyboard too, where it is wider than the page. */
export function table(content: Table & { readonly caption: string }): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${content.caption}">${plainTable(content)}</div>`;
}

/** A table whose first columns wrap, so that it fits any page. */
export function plainTable({ caption, head, rows }: Table): Html {
  return html`<table><caption>${caption}</caption>
<thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map(([name, ...cells]) => html`<tr><th scope="row">${name}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</tbody></table>`;
}
