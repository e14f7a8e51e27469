/** Whatever is done with a store, in whatever order, its answers are those of the memory backend. */
import assert from 'node:assert/strict';
import { createStore, deleteStore, openStore, type RowWriter } from '../index.js';
import { type BackendUnderTest, type ConformanceCase, descriptionOf, numbersFrom, rowsOf } from './kit.js';

const ROUNDS = 12;
const STEPS = 40;

export function randomCases({ freshUrl, seed = 1 }: BackendUnderTest): ConformanceCase[] {
  return [
    {
      name: 'does what the memory backend does: writing, ending, starting over, publishing, reading, deleting, in any order',
      run: async () => {
        for (let round = 0; round < ROUNDS; round += 1) {
          const stores = [freshUrl(), `memory:conformance ${Math.random()}`].map((url) => new Play(url));
          const below = numbersFrom(seed + round);
          const done: string[] = [];
          for (let step = 0; step < STEPS; step += 1) {
            const action = drawAction(below);
            done.push(JSON.stringify(action));
            const [found, expected] = [await stores[0]!.outcome(action), await stores[1]!.outcome(action)];
            assert.deepEqual(found, expected, `seed ${seed + round}, the last of ${done.join(', ')}`);
          }
          for (const store of stores) await store.end();
        }
      },
    },
  ];
}

type Action =
  | { readonly do: 'create'; readonly rows: number; readonly restart: boolean }
  | { readonly do: 'write'; readonly ids: readonly number[]; readonly generation: number }
  | { readonly do: 'publish' | 'close' | 'delete' }
  | { readonly do: 'read'; readonly ids: readonly number[] };

const WIDTH = 3;

function drawAction(below: (limit: number) => number): Action {
  const ids = (limit: number, length: number) => Array.from({ length }, () => below(limit));
  const kind = below(16);
  if (kind < 3) return { do: 'create', rows: below(8) === 0 ? 7 : 6, restart: below(5) === 0 };
  if (kind < 8) return { do: 'write', ids: ids(6, below(9)), generation: below(50) };
  if (kind < 10) return { do: 'publish' };
  if (kind < 11) return { do: 'close' };
  if (kind < 12) return { do: 'delete' };
  return { do: 'read', ids: ids(7, below(9)) };
}

/** A store with a writer now and then. */
class Play {
  readonly #url: string;
  #writer: RowWriter | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /** What an action gives, or the code that it fails with. */
  async outcome(action: Action): Promise<unknown> {
    try {
      return await this.#act(action);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (typeof code !== 'string' || !code.startsWith('STORE_')) throw error;
      return code;
    }
  }

  async #act(action: Action): Promise<unknown> {
    switch (action.do) {
      case 'create': {
        const writer = await createStore(this.#url, descriptionOf({ rows: action.rows, width: WIDTH }), { restart: action.restart });
        this.#writer = writer;
        return this.#written();
      }
      case 'write':
        await this.#writer?.write(Uint32Array.from(action.ids), rowsOf(action.ids, WIDTH, action.generation));
        return this.#written();
      case 'publish':
        return this.#writer?.publish();
      case 'close':
        return this.end();
      case 'delete':
        return deleteStore(this.#url);
      case 'read': {
        await using store = await openStore(this.#url);
        const into = new Float32Array(action.ids.length * WIDTH);
        await store.read(Uint32Array.from(action.ids), into);
        await store.verify();
        return { rows: store.rows, into };
      }
    }
  }

  #written(): unknown {
    return Array.from({ length: 7 }, (_, id) => this.#writer?.has(id));
  }

  async end(): Promise<void> {
    await this.#writer?.close();
    this.#writer = undefined;
  }
}
