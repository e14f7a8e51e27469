/** What Valkey servers are told and what they answer: decoding against an encoder, slots against the specification's examples. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CommandBuffer } from './valkey-commands.js';
import { groupsFor, parseLocation, RowKeys } from './valkey-keys.js';
import { ProtocolError, type Reply, ReplyDecoder, ReplyError } from './valkey-reply.js';
import { slotOf } from './valkey-topology.js';

function encodeReply(reply: Reply): Buffer {
  if (reply === null) return Buffer.from('$-1\r\n');
  if (reply instanceof ReplyError) return Buffer.from(`-${reply.message}\r\n`);
  if (typeof reply === 'number') return Buffer.from(`:${reply}\r\n`);
  if (typeof reply === 'string') return Buffer.from(`+${reply}\r\n`);
  if (Buffer.isBuffer(reply)) return Buffer.concat([Buffer.from(`$${reply.length}\r\n`), reply, Buffer.from('\r\n')]);
  const elements = reply as readonly Reply[];
  return Buffer.concat([Buffer.from(`*${elements.length}\r\n`), ...elements.map(encodeReply)]);
}

/** Puts the bytes into the decoder as a socket would, `sizes` bytes at a time. */
function decode(bytes: Buffer, sizes: readonly number[]): Reply[] {
  const decoder = new ReplyDecoder();
  const replies: Reply[] = [];
  const keep = (reply: Reply) => replies.push(copyOf(reply));
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const count = bytes.copy(decoder.space, 0, at, at + sizes[i % sizes.length]!);
    decoder.push(count, keep);
    at += count;
  }
  return replies;
}
/** Bytes are only there during the call. */
const copyOf = (reply: Reply): Reply => {
  if (Buffer.isBuffer(reply)) return Buffer.from(reply);
  return Array.isArray(reply) ? reply.map(copyOf) : reply;
};

const line = fc.string({ maxLength: 30 }).map((text) => text.replace(/[\r\n]/g, ''));
const { reply: anyReply } = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof(
    { maxDepth: 3 },
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    line,
    fc.integer(),
    fc.constant(null),
    line.map((text) => new ReplyError(`ERR ${text}`)),
    fc.array(tie('reply'), { maxLength: 4 }),
  ),
}));

describe('answers', () => {
  it('are those that were encoded, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(anyReply, { maxLength: 10 }), fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (replies, sizes) => {
        expect(decode(Buffer.concat(replies.map(encodeReply)), sizes)).toEqual(replies);
      }),
    );
  });

  it('longer than the buffer come whole', () => {
    const long = Buffer.alloc(500_000, 'abc');
    expect(decode(encodeReply([long, 'OK']), [60_000])).toEqual([[long, 'OK']]);
  });

  it('that are none are refused, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (bytes, size) => {
        try {
          decode(Buffer.from(bytes), [size]);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('keys', () => {
  it('have the slots that the specification gives, by the tag between their braces', () => {
    expect(slotOf('123456789')).toBe(0x31c3);
    expect(slotOf('{user1000}.following')).toBe(slotOf('{user1000}.followers'));
  });

  it('of rows are the same text and slot with and without strings', () => {
    const keys = new RowKeys('a store', '0123456789abcdef', 2 ** 32 - 1, 8);
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 2), (id) => {
        const into = new CommandBuffer(4);
        keys.write(id, into);
        const key = new RegExp(`^\\$\\d+\r\n(\\{\\w{4}\\}a store:0123456789abcdef:${id})\r\n$`).exec(into.bytes.toString())![1]!;
        expect(into.bytes.toString()).toBe(`$${key.length}\r\n${key}\r\n`);
        expect(keys.slotOf(id)).toBe(slotOf(key));
      }),
    );
  });

  it('of groups are spread evenly over the slots, and one group is one slot', () => {
    for (const rows of [1, 10 ** 8, 2 ** 32 - 1]) {
      const keys = new RowKeys('rows', '0123456789abcdef', rows, 4096);
      const slots = Array.from({ length: keys.groups }, (_, id) => keys.slotOf(id));
      expect(slots.map((slot) => Math.floor((slot * keys.groups) / 16_384))).toEqual(slots.map((_, group) => group));
      expect(keys.slotOf(keys.groups + 5)).toBe(slots[5]);
    }
    expect([1, 10 ** 8, 2 ** 32 - 1].map((rows) => groupsFor(rows, 4096))).toEqual([64, 1024, 1024]);
  });

  it('take a value only for the row and the generation that it was written for', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
        fc.nat(2 ** 32 - 2),
        fc.nat(2 ** 32 - 2),
        fc.nat(95),
        (row, id, other, bit) => {
          const [keys, older] = ['0123456789abcdef', 'fedcba9876543210'].map((generation) => new RowKeys('rows', generation, 100, 8));
          const into = new CommandBuffer(64);
          keys!.writeValue(id, row, into);
          const value = into.bytes.subarray('$12\r\n'.length, -2);
          expect(keys!.isValueOf(id, value)).toBe(true);
          expect(keys!.isValueOf(other, value)).toBe(id === other);
          expect(older!.isValueOf(id, value)).toBe(false);
          value[bit >> 3]! ^= 1 << (bit & 7);
          expect(keys!.isValueOf(id, value)).toBe(false);
        },
      ),
    );
  });
});

it('locations: several servers, IPv6, a default port, options', () => {
  expect(parseLocation('valkey', '//a:1,b,[::1]:3/x/y:z?replicas=yes&keep=5')).toMatchObject({
    seeds: [
      { host: 'a', port: 1 },
      { host: 'b', port: 6379 },
      { host: '::1', port: 3 },
    ],
    name: 'x/y:z',
    spreadsReads: true,
    keepS: 5,
  });
});
