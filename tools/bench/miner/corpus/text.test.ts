import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { documentOf, htmlToText, isEnglish, manToText } from './text.mjs';

const PROSE = 'The end of the document is that which has to be read with care, and it is for you to see what will come of it. '.repeat(12);

describe('htmlToText', () => {
  test('keeps prose, drops navigation with all that is nested in it, scripts and comments', () => {
    const html = `<html><head><title>no</title></head><body><div class="sphinxsidebar"><div>no</div><p>no</p></div><nav>no</nav>
      <script>if (a < b) no()</script><!-- no <p> --><h1>Title</h1><p>One &amp; two&#8212;three\n lines.</p><ul><li>first</li><li>second</li></ul></body></html>`;
    expect(htmlToText(html)).toBe('Title\n\nOne & two—three lines.\n\nfirst\n\nsecond');
  });
  test('line ends count in <pre> alone', () => {
    expect(htmlToText('<p>a   b</p><pre>c\n  d</pre>')).toBe('a b\n\nc\nd');
  });
  test('references that are no characters become nothing', () => {
    expect(htmlToText('<p>x&#xD800;y&#0;z &unknown;</p>')).toBe('xyz &unknown;');
  });
});

test('manToText drops macros and escapes and keeps words', () => {
  const roff = '.\\" comment\n.TH LS 1 2023\n.SH NAME\nls \\- list\n.TP\n.B \\-a\ndo not ignore \\fIentries\\fR\n.de XX\nno\n..\n';
  expect(manToText(roff)).toBe('LS 1 2023\n\nNAME\nls - list\n\n-a\ndo not ignore entries');
});

describe('documentOf', () => {
  test('takes text, gzipped or not, in UTF-8 or Latin-1', () => {
    expect(documentOf('usr/share/doc/x/guide.txt', Buffer.from(PROSE))).toBe(PROSE.trim());
    expect(documentOf('usr/share/doc/x/guide.txt.gz', gzipSync(PROSE))).toBe(PROSE.trim());
    expect(documentOf('usr/share/doc/x/guide.txt', Buffer.from(`${PROSE}caf\u00e9`, 'latin1'))).toContain('café');
  });
  test('leaves out lists of names, other languages, other files and what is short', () => {
    for (const name of ['doc/x/genindex.html', 'doc/x/fr/guide.txt', 'doc/x/guide.de.html', 'doc/x/logo.png', 'doc/x/_sources/guide.txt'])
      expect(documentOf(name, Buffer.from(PROSE))).toBeNull();
    expect(documentOf('doc/x/guide.txt', Buffer.from('short'))).toBeNull();
  });
});

test('isEnglish tells prose from numbers and from German', () => {
  expect(isEnglish(PROSE)).toBe(true);
  expect(isEnglish('0 1 2 3 4 5 6 7 '.repeat(200))).toBe(false);
  expect(isEnglish('Das Ende der Geschichte war ihm noch nicht bekannt, und er wollte es nicht wissen. '.repeat(20))).toBe(false);
});
