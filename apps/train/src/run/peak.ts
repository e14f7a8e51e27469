/** What an adapter's matrix products reach: the measure that training's speed is told against. */
import { type Device, tensor } from '@sconelm/tensor-webgpu';

const SIZE = 1024;
const ROUNDS = 3;

/** FLOP/s of a product of 1,024 × 1,024 matrices, the best of a few; multiply-adds count twice. */
export async function measurePeak(device: Device): Promise<number> {
  const matrix = () =>
    tensor(
      Float32Array.from({ length: SIZE * SIZE }, (_, i) => (i % 7) / 7),
      [SIZE, SIZE],
    );
  const [a, b] = [matrix(), matrix()];
  // One element is read: reading the product would take longer than computing it.
  using program = device.compile(() => ({ outputs: { corner: a.matmul(b).slice([0, 0], [1, 1]) } }));
  await program.prepare({});
  let best = Infinity;
  for (let round = 0; round <= ROUNDS; round++) {
    const started = performance.now();
    await program.run({}).corner.data();
    if (round > 0) best = Math.min(best, performance.now() - started);
  }
  return (2 * SIZE ** 3) / (best / 1000);
}
