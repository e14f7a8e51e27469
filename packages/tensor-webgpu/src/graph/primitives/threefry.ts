/** Threefry-2x32 with 20 rounds: a hash of a counter by a key, the same on the host and in WGSL. [Salmon et al., 2011] */

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];
const PARITY = 0x1bd11bda;
const ROUNDS = 20;

/** The first word of the hash of the counter (`counter`, 0) by the key (`k0`, `k1`). */
export function threefry(counter: number, k0: number, k1: number): number {
  const key = [k0, k1, k0 ^ k1 ^ PARITY];
  let x = (counter + k0) >>> 0;
  let y = k1 >>> 0;
  for (let round = 0; round < ROUNDS; round++) {
    x = (x + y) >>> 0;
    const r = ROTATIONS[round % 8];
    y = (((y << r) | (y >>> (32 - r))) ^ x) >>> 0;
    if (round % 4 === 3) {
      const turn = (round + 1) / 4;
      x = (x + key[turn % 3]) >>> 0;
      y = (y + key[(turn + 1) % 3] + turn) >>> 0;
    }
  }
  return x;
}

/** `fn threefry(counter: u32, k0: u32, k1: u32) -> u32`. */
export function threefryWgsl(): string {
  const rounds = Array.from({ length: ROUNDS }, (_, round) => {
    const r = ROTATIONS[round % 8];
    const mix = `x += y; y = ((y << ${r}u) | (y >> ${32 - r}u)) ^ x;`;
    if (round % 4 !== 3) return mix;
    const turn = (round + 1) / 4;
    return `${mix} x += k${turn % 3}; y += k${(turn + 1) % 3} + ${turn}u;`;
  });
  return `fn threefry(counter: u32, k0: u32, k1: u32) -> u32 {
  let k2 = k0 ^ k1 ^ ${PARITY}u;
  var x = counter + k0;
  var y = k1;
  ${rounds.join('\n  ')}
  return x;
}`;
}
