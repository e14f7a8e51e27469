/** Folders of models under faults: hostile and damaged files, names that lead elsewhere, an exporter that is disturbed. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  forDamage,
  forEveryCall,
  forEveryCallOfReader,
  forHostileJson,
  forPowerCuts,
  hostilePaths,
  inFolder,
  times,
} from '../../../../tools/faults/index.mjs';
import { decoderShapes, exportModelFolder, openModelFolder, parseSafetensors } from '../index.js';
import { openWeights } from './files.js';
import { samples, tensorsOf, writeSample } from './samples.test.support.js';

const tiny = {
  ...samples['Llama 3.2']!,
  ...{
    vocab_size: 5,
    hidden_size: 4,
    intermediate_size: 3,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    head_dim: 2,
    num_key_value_heads: 1,
  },
};
const weights = tensorsOf(tiny);
const refused = (code: unknown) => expect.objectContaining({ code });

describe('reading', () => {
  test('a hostile config.json is refused or understood', () =>
    inFolder(async (folder) => {
      writeSample(folder, tiny, weights);
      const read = async (text: string) => {
        writeFileSync(join(folder, 'config.json'), text);
        await openModelFolder(folder);
      };
      const seen = await forHostileJson(tiny, read, { runs: times(1000, 200_000) });
      expect(seen.refused).toBeGreaterThan(seen.tried / 3);
      expect(seen.refused).toBeLessThan(seen.tried);
    }));
  test('a hostile generation_config.json is refused or understood', () =>
    inFolder(async (folder) => {
      writeSample(folder, tiny, weights);
      const read = async (text: string) => {
        writeFileSync(join(folder, 'generation_config.json'), text);
        const { endTokens } = await openModelFolder(folder);
        for (const token of endTokens) if (!(token >= 0 && token < 5)) throw new Error(`token ${token} is none`);
      };
      const seen = await forHostileJson({ eos_token_id: [2, 3], bos_token_id: 1 }, read, { runs: times(500, 50_000) });
      expect(seen.refused).toBeGreaterThan(0);
    }));
  test('a hostile index of shards is refused or understood', () =>
    inFolder(async (folder) => {
      writeSample(folder, tiny, weights, { shards: 2 });
      const file = join(folder, 'model.safetensors.index.json');
      const read = async (text: string) => {
        writeFileSync(file, text);
        await openModelFolder(folder);
      };
      const seen = await forHostileJson(JSON.parse(readFileSync(file, 'utf8')), read, { runs: times(500, 50_000) });
      expect(seen.refused).toBeGreaterThan(seen.tried / 3);
    }));
  test('files that are too long are not read', () =>
    inFolder(async (folder) => {
      for (const name of ['config.json', 'generation_config.json', 'tokenizer.json', 'model.safetensors.index.json']) {
        writeSample(folder, tiny, weights);
        writeFileSync(join(folder, name), '');
        truncateSync(join(folder, name), 2 ** 33);
        await expect(openModelFolder(folder)).rejects.toThrow(refused('MODEL_CONFIG'));
        execFileSync('rm', [join(folder, name)]);
      }
    }));
  test('a damaged header is told', () =>
    inFolder(async (folder) => {
      writeSample(folder, tiny, weights);
      const seen = await forDamage(join(folder, 'model.safetensors'), () => openModelFolder(folder), {
        bits: times(1000, 50_000),
        blockBytes: 64,
      });
      expect(seen.refused).toBeGreaterThan(500);
    }));
  test('a file that is cut while it is open is told', () =>
    inFolder(async (folder) => {
      writeSample(folder, tiny, weights);
      await using file = await openWeights(folder, 'model.safetensors');
      const last = [...file.entries.values()].sort((a, b) => b.end - a.end)[0]!;
      truncateSync(join(folder, 'model.safetensors'), 100);
      await expect(file.read(last)).rejects.toThrow(refused('CHECKPOINT_CORRUPT'));
    }));
  test('a header that claims 16 exabytes, or more than the model has, takes no memory', () =>
    inFolder(async (folder) => {
      writeSample(
        folder,
        { ...tiny, vocab_size: 2 ** 20, hidden_size: 2 ** 15, num_hidden_layers: 512, intermediate_size: 2 ** 17 },
        weights,
      );
      await expect(openModelFolder(folder)).rejects.toThrow(refused('CHECKPOINT_MISMATCH'));
      writeSample(folder, tiny, weights);
      writeFileSync(join(folder, 'model.safetensors'), Buffer.alloc(64, 0xff));
      await expect(openModelFolder(folder)).rejects.toThrow(refused('CHECKPOINT_CORRUPT'));
    }));
  test('every call failing is a typed error', async () => {
    const seen = await forEveryCallOfReader(
      async (folder) => writeSample(folder, tiny, weights, { shards: 2 }),
      async (folder) => {
        const { directory: _, ...found } = await openModelFolder(folder);
        return found;
      },
    );
    expect(seen.EIO).toBeGreaterThan(5);
  });
});

describe('names', () => {
  test('in an index lead to no file but those beside it', () =>
    inFolder(async (outer) => {
      const folder = join(outer, 'model');
      writeSample(folder, tiny, weights);
      // What a name that leads out could find.
      for (const name of ['x', 'x.bin']) cpSync(join(folder, 'model.safetensors'), join(outer, name));
      const rename = (name: string) => ({ weight_map: Object.fromEntries([...weights.keys()].map((tensor) => [tensor, name])) });
      for (const name of hostilePaths) {
        writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify(rename(name)));
        const code = await openModelFolder(folder).then(
          () => 'read',
          (error) => error.code,
        );
        expect(['MODEL_PATH', 'ARTIFACT_MISSING'], JSON.stringify(name)).toContain(code);
      }
      expect(hostilePaths.length).toBeGreaterThan(200);
    }));

  test('are links only within the folder, or to the blobs of the hub’s cache', () =>
    inFolder(async (outer) => {
      const elsewhere = join(outer, 'elsewhere');
      writeSample(elsewhere, tiny, weights);
      const linkAll = (folder: string, blobs: string) => {
        mkdirSync(folder, { recursive: true });
        for (const name of ['config.json', 'model.safetensors']) symlinkSync(join(blobs, name), join(folder, name));
      };
      linkAll(join(outer, 'model'), elsewhere);
      await expect(openModelFolder(join(outer, 'model'))).rejects.toThrow(refused('MODEL_PATH'));

      const cache = join(outer, 'models--org--name');
      writeSample(join(cache, 'blobs'), tiny, weights);
      linkAll(join(cache, 'snapshots/0123abc'), '../../blobs');
      expect((await openModelFolder(join(cache, 'snapshots/0123abc'))).modelType).toBe('llama');
      linkAll(join(cache, 'snapshots/4567def'), elsewhere);
      await expect(openModelFolder(join(cache, 'snapshots/4567def'))).rejects.toThrow(refused('MODEL_PATH'));

      renameSync(join(elsewhere, 'model.safetensors'), join(elsewhere, 'weights'));
      symlinkSync('weights', join(elsewhere, 'model.safetensors'));
      expect((await openModelFolder(elsewhere)).modelType).toBe('llama');
    }));

  test('of folders, pipes and devices are refused, not waited for', () =>
    inFolder(async (outer) => {
      for (const [name, make] of Object.entries({
        folder: (file: string) => mkdirSync(file),
        pipe: (file: string) => execFileSync('mkfifo', [file]),
        device: (file: string) => symlinkSync('/dev/zero', file),
      })) {
        const folder = join(outer, name);
        writeSample(folder, tiny, weights);
        renameSync(join(folder, 'model.safetensors'), join(folder, 'other.safetensors'));
        make(join(folder, 'model.safetensors'));
        await expect(openModelFolder(folder), name).rejects.toThrow(refused('MODEL_PATH'));
      }
    }));
});

describe('an export', () => {
  const config = { vocabSize: 5, contextLength: 4, layers: 1, width: 4, heads: 2 };
  const shapes = decoderShapes(config);
  const exported = (folder: string, generation: number) =>
    exportModelFolder(
      join(folder, 'model'),
      config,
      {
        get: (name) => ({
          read: async () => Float32Array.from({ length: shapes[name]!.shape.reduce((a, b) => a * b) }, (_, i) => i + generation),
        }),
      },
      { tokenizer: `{"generation":${generation}}`, endTokens: [generation], maxShardBytes: 600 },
    );
  const writer = {
    setUp: (folder: string) => exported(folder, 1),
    write: (folder: string) => exported(folder, 2),
    read: async (folder: string) => {
      const { directory, ...found } = await openModelFolder(join(folder, 'model'));
      const index = JSON.parse(readFileSync(join(directory, 'model.safetensors.index.json'), 'utf8'));
      const files = [...new Set(Object.values<string>(index.weight_map))];
      return { found, tensors: files.map((file) => [...parseSafetensors(readFileSync(join(directory, file)), file).tensors]) };
    },
  };
  test('survives every call failing', async () => {
    expect((await forEveryCall(writer)).ENOSPC).toBeGreaterThan(5);
  });
  test('survives power cuts', async () => {
    const seen = await forPowerCuts(writer, { cuts: times(100, 5000) });
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
  });
});
