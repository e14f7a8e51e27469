import { describe, expect, it } from 'vitest';
import { parseRelease } from './mesa.mjs';
import { expectNode } from './node-version.mjs';

describe('set-up', () => {
  it('knows Debian and its relatives by os-release', () => {
    expect(parseRelease('ID=debian\nVERSION_CODENAME=bookworm\n')).toEqual({ debian: true, codename: 'bookworm' });
    expect(parseRelease('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\n').debian).toBe(true);
    expect(parseRelease('ID=fedora\n').debian).toBe(false);
  });

  it('refuses a Node that is too old, and says which one it needs', () => {
    expect(() => expectNode('20.18.3')).toThrow(/20\.19 or newer/);
    expect(() => expectNode('18.20.0')).toThrow(/Node 18\.20\.0/);
    for (const version of ['20.19.0', '20.20.1', '22.0.0']) expect(() => expectNode(version)).not.toThrow();
  });
});
