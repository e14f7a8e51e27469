/** The cache of measurements in the user's cache folder; nothing in browsers. */

/** By adapter: the fastest form by class of sizes. */
export type TuningTable = Readonly<Record<string, Readonly<Record<string, string>>>>;

async function cacheFile(): Promise<string | undefined> {
  if (typeof process === 'undefined' || process.versions?.node === undefined) return undefined;
  const [{ homedir }, path] = await Promise.all([import('node:os'), import('node:path')]);
  return path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'sconelm', 'tuning.json');
}

/** What is there; a missing or damaged file is empty: it is a cache, and is measured again. */
export async function readTable(): Promise<TuningTable> {
  const file = await cacheFile();
  if (file === undefined) return {};
  const { readFile } = await import('node:fs/promises');
  try {
    const table: unknown = JSON.parse(await readFile(file, 'utf8'));
    return typeof table === 'object' && table !== null ? (table as TuningTable) : {};
  } catch {
    return {};
  }
}

/** Writes the table anew, aside and renamed. @throws {Error} if it cannot be written */
export async function changeTable(change: (table: TuningTable) => TuningTable): Promise<void> {
  const file = await cacheFile();
  if (file === undefined) return;
  const [{ mkdir, rename, writeFile }, path] = await Promise.all([import('node:fs/promises'), import('node:path')]);
  const table = change(await readTable());
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.${process.pid}`, `${JSON.stringify(table, null, 1)}\n`);
  await rename(`${file}.${process.pid}`, file);
}
