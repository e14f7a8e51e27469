import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { crc32c, EventLog } from './tensorboard.js';

/** Records of a file, their checksums compared with a second implementation of the mask. */
function recordsOf(bytes: Buffer): Buffer[] {
  const check = (data: Buffer, stored: number) => {
    const crc = BigInt(crc32c(data));
    expect(stored).toBe(Number(((((crc >> 15n) | (crc << 17n)) % 2n ** 32n) + 0xa282ead8n) % 2n ** 32n));
  };
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    check(bytes.subarray(at, at + 8), bytes.readUInt32LE(at + 8));
    const data = bytes.subarray(at + 12, at + 12 + length);
    check(data, bytes.readUInt32LE(at + 12 + length));
    records.push(data);
    at += 16 + length;
  }
  return records;
}

/** Fields of a protocol buffer by number. */
function fieldsOf(data: Buffer): [field: number, value: number | Buffer][] {
  const fields: [number, number | Buffer][] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = data[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const key = varint();
    if ((key & 7) === 0) fields.push([key >> 3, varint()]);
    else {
      const size = (key & 7) === 1 ? 8 : (key & 7) === 5 ? 4 : varint();
      const part = data.subarray(at, at + size);
      fields.push([key >> 3, (key & 7) === 1 ? part.readDoubleLE() : (key & 7) === 5 ? part.readFloatLE() : part]);
      at += size;
    }
  }
  return fields;
}

it('an event file holds the metrics, those of before a resumption too', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'sconelm-events-'));
  const file = path.join(folder, 'events.out.tfevents.scone');
  const entry = (step: number, loss: number) => ({
    step,
    loss,
    tokens: 1,
    rate: 0.5,
    nodes: 0,
    seconds: step,
    gradientNorm: 2,
    flops: 1,
    skipped: 0,
  });
  {
    await using log = await EventLog.open(file, [entry(10, 3)], 10);
    await log.append({ ...entry(300, 2.5), heldoutLoss: 2.75 });
  }
  const [first, ...events] = recordsOf(await readFile(file));
  expect(Buffer.from(fieldsOf(first)[1][1] as Buffer).toString()).toBe('brain.Event:2');
  const scalars = events.map((data) => {
    const [[, time], [, step], [, summary]] = fieldsOf(data);
    const values = fieldsOf(summary as Buffer).map(([, value]) => fieldsOf(value as Buffer).map(([, part]) => part));
    expect(Math.abs((time as number) - Date.now() / 1000)).toBeLessThan(1000);
    return [step, Object.fromEntries(values.map(([tag, value]) => [String(tag), value]))];
  });
  expect(scalars).toEqual([
    [10, { loss: 3, rate: 0.5, gradient_norm: 2 }],
    [300, { loss: 2.5, rate: 0.5, gradient_norm: 2, heldout_loss: 2.75 }],
  ]);
  await rm(folder, { recursive: true });
});

it('the checksum is that of the standard', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
});
