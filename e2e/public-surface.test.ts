/**
 * What users may lean on, as recorded: a package's names by entry and its error codes, an app's commands and options. A change of these is a
 * change of version: `npx vitest run e2e/public-surface.test.ts -u` records it, and the pull request shows it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../tools/setup/root.mjs';
import { commandsInFolder } from './command.js';

const { command } = commandsInFolder();
const recorded = (project: string) => path.join(ROOT, 'docs/surface', `${path.basename(project)}.txt`);

/** Names that an entry gives, types marked as such. */
function namesOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replaceAll(/\/\*.*?\*\/|\/\/.*$/gms, '');
  const own = [...text.matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(([, isType = '', list]) =>
    list.split(',').flatMap((item) => {
      const name = item.trim().replace(/^.* as /, '');
      return name === '' ? [] : [name.startsWith('type ') || isType === '' ? name : `type ${name}`];
    }),
  );
  const declared = [...text.matchAll(/^export (?:async )?(function|const|class|interface|type) (\w+)/gm)].map(([, kind, name]) =>
    kind === 'interface' || kind === 'type' ? `type ${name}` : name,
  );
  const others = [...text.matchAll(/export \* from '(.*?)\.js'/g)].flatMap(([, from]) =>
    namesOf(path.join(path.dirname(file), `${from}.ts`)),
  );
  return [...own, ...declared, ...others];
}

function errorCodesOf(folder: string): string[] {
  const file = path.join(folder, 'src/errors.ts');
  if (!existsSync(file)) return [];
  const unions = readFileSync(file, 'utf8').matchAll(/'([A-Z]+(?:_[A-Z0-9]+)+)'/g);
  return [...new Set([...unions].map(([, code]) => code))].sort();
}

describe('packages', () => {
  it.each(readdirSync(path.join(ROOT, 'packages')))('%s', async (name) => {
    const folder = path.join(ROOT, 'packages', name);
    const { exports } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    const entries = Object.entries<{ '@sconelm/source': string }>(exports).flatMap(([entry, { '@sconelm/source': source }]) => {
      const names = [...new Set(namesOf(path.join(folder, source)))].sort();
      expect(names).not.toEqual([]);
      return ['', entry, ...names.map((name) => `  ${name}`)];
    });
    const codes = errorCodesOf(folder);
    const lines = [
      `@sconelm/${name}`,
      ...entries,
      ...(codes.length === 0 ? [] : ['', 'error codes', ...codes.map((code) => `  ${code}`)]),
      '',
    ];
    await expect(lines.join('\n')).toMatchFileSnapshot(recorded(name));
  });
});

describe('commands', () => {
  it.each(['train', 'infer'] as const)('scone-%s', async (app) => {
    const help = async (...names: string[]) => {
      const { code, out } = await command(app, [...names, '--help']);
      expect(code).toBe(0);
      return out;
    };
    const whole = await help();
    const parts = commandNames(whole).map(async (name) => {
      const text = await help(...name.split(' '));
      // What an option is called; how it is described may change.
      return ['', name, ...[...text.matchAll(/^ +(--[\w-]+)/gm)].map(([, option]) => `  ${option}`)];
    });
    const lines = [`scone-${app}`, ...(await Promise.all(parts)).flat()];
    await expect(
      `${lines.join('\n')}\n\nerror codes\n${errorCodesOf(path.join(ROOT, 'apps', app))
        .map((code) => `  ${code}\n`)
        .join('')}`,
    ).toMatchFileSnapshot(recorded(app));
  });
});

function commandNames(help: string): string[] {
  const names = [...help.matchAll(/^ {2}([a-z]+(?: [a-z]+)?) {2,}\S/gm)].map(([, name]) => name);
  expect(names.length).toBeGreaterThan(3);
  return names;
}
