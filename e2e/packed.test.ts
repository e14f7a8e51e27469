/** The packages as npm would deliver them: packed, installed into an empty folder, checked, their READMEs' code run. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureDependencies } from '../tools/setup/dependencies.mjs';
import { ROOT } from '../tools/setup/root.mjs';

const CHECKS = path.join(ROOT, 'tools/packed');

interface Publint {
  publint(options: {
    readonly pack: { readonly tarball: ArrayBuffer };
    readonly strict: boolean;
  }): Promise<{ readonly messages: readonly unknown[] }>;
}

interface AreTheTypesWrong {
  createPackageFromTarballData(tarball: Uint8Array): object;
  checkPackage(
    contents: object,
  ): Promise<
    | { readonly types: false }
    | { readonly types: object; readonly problems: readonly { readonly kind: string; readonly resolutionKind?: string }[] }
  >;
}

/** A checker of tools/packed. */
const tool = <T>(name: string): Promise<T> => import(createRequire(path.join(CHECKS, 'package.json')).resolve(name));

const projects = ['packages', 'apps'].flatMap((parent) => readdirSync(path.join(ROOT, parent)).map((name) => `${parent}/${name}`));
const outside = mkdtempSync(path.join(tmpdir(), 'sconelm-packed-'));
/** By the package's name: where its tarball is, and what is in it. */
const tarballs = new Map<string, { readonly path: string; readonly files: readonly string[] }>();

function run(command: string, args: readonly string[], cwd = outside): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (error !== undefined) throw error;
  if (status !== 0) expect.fail(`${command} ${args.join(' ')} exited with ${status}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** Every TypeScript block of the READMEs, and every file of an examples folder, by the name it gets outside. */
function programs(): Map<string, string> {
  const found = new Map<string, string>();
  for (const project of ['', ...projects]) {
    const name = project === '' ? 'scone' : path.basename(project);
    const readme = readFileSync(path.join(ROOT, project, 'README.md'), 'utf8');
    [...readme.matchAll(/^```ts\n(.*?)^```/gms)].forEach(([, code], i) => {
      found.set(`${name}-readme-${i + 1}.ts`, code);
    });
    const examples = path.join(ROOT, project, 'examples');
    for (const file of readdirSync(path.join(ROOT, project)).includes('examples') ? readdirSync(examples) : []) {
      if (file.endsWith('.ts')) found.set(`${name}-example-${file}`, readFileSync(path.join(examples, file), 'utf8'));
    }
  }
  return found;
}

beforeAll(async () => {
  await ensureDependencies(CHECKS);
  const packed = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', outside, ...projects.flatMap((p) => ['-w', p])], ROOT));
  for (const { name, filename, files } of packed as { name: string; filename: string; files: { path: string }[] }[])
    tarballs.set(name, { path: path.join(outside, filename), files: files.map((file) => file.path) });
  const { dependencies } = JSON.parse(readFileSync(path.join(CHECKS, 'package.json'), 'utf8'));
  const manifest = {
    type: 'module',
    private: true,
    dependencies: {
      '@types/node': dependencies['@types/node'],
      ...Object.fromEntries([...tarballs].map(([name, { path }]) => [name, `file:${path}`])),
    },
  };
  writeFileSync(path.join(outside, 'package.json'), JSON.stringify(manifest));
  run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']);
});
afterAll(() => rmSync(outside, { recursive: true }));

it('packs all projects', () => {
  expect([...tarballs.keys()].sort()).toEqual(projects.map((project) => `@sconelm/${path.basename(project)}`).sort());
});

describe.each(projects)('%s', (project) => {
  const tarball = () => {
    const found = tarballs.get(`@sconelm/${path.basename(project)}`);
    if (found === undefined) throw new Error(`${project} was not packed`);
    return found;
  };

  it('has what its manifest says: publint', async () => {
    const { publint } = await tool<Publint>('publint');
    const { messages } = await publint({ pack: { tarball: new Uint8Array(readFileSync(tarball().path)).buffer }, strict: true });
    expect(messages).toEqual([]);
  });

  it('has types that agree with its code: arethetypeswrong', async () => {
    const { checkPackage, createPackageFromTarballData } = await tool<AreTheTypesWrong>('@arethetypeswrong/core');
    const result = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball().path))));
    if (result.types === false) return expect(project).toMatch(/^apps/);
    // ECMAScript modules only: resolution from CommonJS and by Node 10's rules is not offered.
    const problems = result.problems.filter(
      (problem) => !('resolutionKind' in problem) || !/node10|node16-cjs/.test(problem.resolutionKind),
    );
    expect(problems.filter(({ kind }) => kind !== 'CJSResolvesToESM')).toEqual([]);
  });

  it('ships licence, README and no tests', () => {
    const { files } = tarball();
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
    expect(files.filter((file) => /\.test\.|tsbuildinfo/.test(file))).toEqual([]);
  });
});

it('runs every program of the READMEs and the example folders, type-checked, outside the workspace', () => {
  mkdirSync(path.join(outside, 'src'));
  const found = programs();
  for (const [file, code] of found) writeFileSync(path.join(outside, 'src', file), code.includes('import ') ? code : `export {};\n${code}`);
  expect(found.size).toBeGreaterThanOrEqual(8);
  const options = { target: 'ES2023', lib: ['ES2023', 'ESNext.Disposable', 'DOM'], module: 'NodeNext', strict: true, types: ['node'] };
  writeFileSync(path.join(outside, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...options, rootDir: 'src', outDir: 'out' } }));
  run(process.execPath, [path.join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.']);
  cpSync(path.join(ROOT, 'LICENSE'), path.join(outside, 'book.txt'));
  const corpus = path.join(ROOT, 'data/quickstart/sotu-train.jsonl.gz');
  for (const file of found.keys()) {
    const args = file.startsWith('tensor-webgpu-example') ? [corpus] : [];
    expect(run(process.execPath, [path.join('out', file.replace(/ts$/, 'js')), ...args]), file).not.toBe('');
  }
});

it('installs the two commands', () => {
  for (const bin of ['scone-train', 'scone-infer']) expect(run(path.join(outside, 'node_modules/.bin', bin), ['--help'])).toContain(bin);
});
