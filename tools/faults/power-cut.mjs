/** The power fails at a random moment of a writer's work. Seeded: a failure names what replays it. */
import { buildDisk, DiskJournal } from './disk.mjs';
import { inFolder } from './folder.mjs';
import { startNewLife } from './lives.mjs';
import { randomFrom, runSeed, times } from './random.mjs';
import { expectOldOrNew, expectResumable, undisturbed } from './writer.mjs';

/**
 * Runs a writer once, builds `cuts` states that the disk may be in after a power cut, and checks in each that readers see the old
 * state or the new one (the new one, if the writer had returned), and that running again ends byte for byte as without the cut.
 * The writer must run in this thread, and must not put the folder's path into its files: states are built in other folders.
 * @template T @param {import('./writer.mjs').Writer<T>} writer
 * @param {{ cuts?: number, seed?: number }} [options]
 * @returns {Promise<{ cuts: number, old: number, new: number }>} how many, and what readers saw after them
 */
export async function forPowerCuts(writer, { cuts = times(200, 5000), seed = runSeed } = {}) {
  const expected = await undisturbed(writer);
  const journal = await inFolder(async (folder) => {
    startNewLife();
    await writer.setUp?.(folder);
    startNewLife();
    const recorded = new DiskJournal(folder);
    try {
      await writer.write(folder);
    } finally {
      recorded.stop();
    }
    return recorded;
  });
  const seen = { cuts, old: 0, new: 0 };
  for (let index = 0; index < cuts; index += 1) {
    const random = randomFrom(seed + index);
    // One cut in ten comes after the writer has returned. All or nothing of data and of names is as likely as a part of them.
    const cut = random.below(10) === 0 ? journal.events.length : random.below(journal.events.length + 1);
    const [data, names] = [shareOf(random), shareOf(random)];
    const chance = { keepsData: () => random.next() < data, keepsNames: () => random.next() < names };
    await inFolder(async (folder) => {
      try {
        buildDisk(journal, cut, folder, chance);
        startNewLife();
        if (await expectOldOrNew(writer, expected, folder, cut === journal.events.length)) seen.new += 1;
        else seen.old += 1;
        await expectResumable(writer, expected, folder);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const kept = `${percent(data)} of unsynced data and ${percent(names)} of names kept`;
        const replay = `replay with { cuts: 1, seed: ${seed + index} }`;
        throw new Error(`power cut at event ${cut} of ${journal.events.length} (${kept}; ${replay}): ${reason}`, { cause: error });
      }
    });
  }
  return seen;
}

/** @param {import('./random.mjs').Random} random */
function shareOf(random) {
  const kind = random.below(3);
  return kind === 0 ? 0 : kind === 1 ? 1 : random.next();
}

const percent = (/** @type {number} */ share) => `${Math.round(share * 100)}%`;
