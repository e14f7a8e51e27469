/** The packages as npm would deliver them: each packed, checked, installed into an empty folder of its own, its README's programs run there. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureDependencies } from '../tools/setup/dependencies.mjs';
import { ROOT } from '../tools/setup/root.mjs';

const CHECKS = path.join(ROOT, 'tools/packed');
/** The Node that runs the programs: another version's, by SCONE_NODE. */
const NODE = process.env.SCONE_NODE ?? process.execPath;

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

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (error !== undefined) throw error;
  if (status !== 0) expect.fail(`${command} ${args.join(' ')} exited with ${status}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** Pages whose programs need the engine alone. */
const OF_THE_ENGINE = ['README.md', 'docs/adding-an-op.md'];

/** The TypeScript blocks of a project's README and pages, and the programs of its examples folder, by file name. */
function programsOf(project: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const page of [`${project}/README.md`, ...(project === 'packages/tensor-webgpu' ? OF_THE_ENGINE : [])]) {
    const blocks = readFileSync(path.join(ROOT, page), 'utf8').matchAll(/^```ts\n(.*?)^```/gms);
    [...blocks].forEach(([, code], i) => {
      found.set(`${page.replace(/\W/g, '-')}-${i + 1}.ts`, code);
    });
  }
  const examples = path.join(ROOT, project, 'examples');
  for (const file of existsSync(examples) ? readdirSync(examples) : [])
    if (file.endsWith('.ts')) found.set(`example-${file}`, readFileSync(path.join(examples, file), 'utf8'));
  return found;
}

beforeAll(async () => {
  await ensureDependencies(CHECKS);
  const packed = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', outside, ...projects.flatMap((p) => ['-w', p])], ROOT));
  for (const { name, filename, files } of packed as { name: string; filename: string; files: { path: string }[] }[])
    tarballs.set(name, { path: path.join(outside, filename), files: files.map((file) => file.path) });
});
afterAll(() => rmSync(outside, { recursive: true }));

it('has no export, file or dependency that nobody uses: knip', () => {
  run(process.execPath, [path.join(CHECKS, 'node_modules/knip/bin/knip.js'), '--no-progress'], ROOT);
});

it('has docstrings that agree with the code: typedoc', () => {
  run(process.execPath, [path.join(ROOT, 'tools/api-docs/build.mjs'), '--check'], ROOT);
});

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

  it('installs alone into an empty folder, and runs the programs of its README there, type-checked', () => {
    const own = path.join(outside, path.basename(project));
    mkdirSync(path.join(own, 'src'), { recursive: true });
    const { dependencies } = JSON.parse(readFileSync(path.join(CHECKS, 'package.json'), 'utf8'));
    const manifest = {
      type: 'module',
      private: true,
      dependencies: { [`@sconelm/${path.basename(project)}`]: `file:${tarball().path}`, '@types/node': dependencies['@types/node'] },
      // The packages that it depends on are not taken from the registry.
      overrides: Object.fromEntries([...tarballs].map(([name, { path }]) => [name, `file:${path}`])),
    };
    writeFileSync(path.join(own, 'package.json'), JSON.stringify(manifest));
    run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'], own);
    if (project.startsWith('apps/')) {
      const bin = `scone-${path.basename(project)}`;
      expect(run(NODE, [path.join('node_modules/.bin', bin), '--help'], own)).toContain(bin);
      return;
    }
    const programs = programsOf(project);
    expect(programs.size).toBeGreaterThan(0);
    for (const [file, code] of programs)
      writeFileSync(path.join(own, 'src', file), code.includes('import ') ? code : `export {};\n${code}`);
    const options = { target: 'ES2023', lib: ['ES2023', 'ESNext.Disposable', 'DOM'], module: 'NodeNext', strict: true, types: ['node'] };
    writeFileSync(path.join(own, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...options, rootDir: 'src', outDir: 'out' } }));
    run(process.execPath, [path.join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.'], own);
    cpSync(path.join(ROOT, 'LICENSE'), path.join(own, 'book.txt'));
    const corpus = path.join(ROOT, 'data/quickstart/sotu-train.jsonl.gz');
    for (const file of programs.keys())
      expect(
        run(process.execPath, [path.join('out', file.replace(/ts$/, 'js')), ...(file.startsWith('example') ? [corpus] : [])], own),
        file,
      ).not.toBe('');
  });
});
