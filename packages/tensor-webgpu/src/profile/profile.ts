/** The time of every kernel of a program, by timestamp queries: as numbers, as a table, and as a trace that Chrome and Perfetto open. */
import type { Dispatch } from '../compile/dispatch.js';
import type { Device } from '../device/device.js';
import { DeviceError } from '../errors.js';

export interface KernelTime {
  /** The op that asked for it. */
  readonly op: string;
  readonly kernel: string;
  /** Microseconds since the start of the first kernel. */
  readonly start: number;
  /** Microseconds. */
  readonly duration: number;
  /** Floating-point operations, as far as ops count them; those of an op with several kernels stand at its first. */
  readonly flops: number;
  /** Bytes of everything the kernel binds: what it moves if it touches all of it once. */
  readonly bytes: number;
}

/** One line of the table: all calls of one kernel for one op. */
export interface KernelSummary {
  readonly op: string;
  readonly kernel: string;
  readonly calls: number;
  readonly ms: number;
  /** Undefined where no operations are counted. */
  readonly gflopsPerSecond: number | undefined;
  readonly gigabytesPerSecond: number;
}

export class Profile {
  /** In the order of execution. */
  readonly kernels: readonly KernelTime[];
  constructor(kernels: readonly KernelTime[]) {
    this.kernels = kernels;
  }

  /** Milliseconds in kernels. */
  get ms(): number {
    return this.kernels.reduce((sum, { duration }) => sum + duration, 0) / 1000;
  }

  /** Kernels by the time they take, longest first. */
  summary(): KernelSummary[] {
    const groups = new Map<string, KernelTime[]>();
    for (const time of this.kernels) {
      const key = `${time.op} ${time.kernel}`;
      groups.set(key, [...(groups.get(key) ?? []), time]);
    }
    const total = (times: readonly KernelTime[], of: (time: KernelTime) => number) => times.reduce((sum, time) => sum + of(time), 0);
    return [...groups.values()]
      .map((times) => {
        const us = total(times, ({ duration }) => duration);
        const flops = total(times, (time) => time.flops);
        return {
          op: times[0].op,
          kernel: times[0].kernel,
          calls: times.length,
          ms: us / 1000,
          gflopsPerSecond: flops === 0 ? undefined : flops / us / 1000,
          gigabytesPerSecond: total(times, ({ bytes }) => bytes) / us / 1000,
        };
      })
      .sort((a, b) => b.ms - a.ms);
  }

  /** The summary as text. */
  table(): string {
    const rows = this.summary().map(({ op, kernel, calls, ms, gflopsPerSecond, gigabytesPerSecond }) => [
      op,
      kernel,
      String(calls),
      ms.toFixed(3),
      `${((100 * ms) / this.ms).toFixed(1)}%`,
      gflopsPerSecond?.toFixed(1) ?? '',
      gigabytesPerSecond.toFixed(1),
    ]);
    const all = [['op', 'kernel', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s'], ...rows];
    const widths = all[0].map((_, column) => Math.max(...all.map((row) => row[column].length)));
    const line = (row: readonly string[]) => row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
    return `${all.map(line).join('\n')}\n`;
  }

  /** The Trace Event Format of Chrome's tracing and Perfetto: write it to a file as JSON. */
  trace(): { readonly traceEvents: readonly object[]; readonly displayTimeUnit: 'ms' } {
    const traceEvents = this.kernels.map(({ op, kernel, start, duration, flops, bytes }) => ({
      name: op,
      cat: kernel,
      ph: 'X',
      pid: 1,
      tid: 1,
      ts: start,
      dur: duration,
      args: { kernel, flops, bytes },
    }));
    return { traceEvents, displayTimeUnit: 'ms' };
  }
}

/** Queries that one set may hold. */
const MAX_QUERIES = 4096;

/** Runs each dispatch in a pass of its own with a timestamp before and after. @throws {DeviceError} DEVICE_FEATURE */
export async function profileDispatches(device: Device, dispatches: readonly Dispatch[]): Promise<Profile> {
  const { gpu } = device;
  if (!gpu.features.has('timestamp-query')) {
    throw new DeviceError('DEVICE_FEATURE', 'this adapter has no timestamp queries', {
      remedy: 'Profile on another adapter, or time whole calls on the host.',
    });
  }
  const times: number[] = [];
  for (let from = 0; from < dispatches.length; from += MAX_QUERIES / 2) {
    const part = dispatches.slice(from, from + MAX_QUERIES / 2);
    times.push(...(await timestamps(device, part)));
  }
  const origin = times[0] ?? 0;
  const kernels = dispatches.map(({ label, kernel, flops, bytes }, i) => ({
    op: label,
    kernel,
    flops,
    bytes,
    start: times[2 * i] - origin,
    duration: times[2 * i + 1] - times[2 * i],
  }));
  return new Profile(kernels);
}

/** @returns microseconds: start and end of each dispatch */
async function timestamps(device: Device, dispatches: readonly Dispatch[]): Promise<number[]> {
  const { gpu } = device;
  const count = dispatches.length * 2;
  const querySet = gpu.createQuerySet({ type: 'timestamp', count });
  const resolved = gpu.createBuffer({
    label: 'timestamps',
    size: count * 8,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  try {
    const encoder = gpu.createCommandEncoder();
    dispatches.forEach(({ pipeline, group, workgroups }, i) => {
      const timestampWrites = { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
      const pass = encoder.beginComputePass({ timestampWrites });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...workgroups);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    gpu.queue.submit([encoder.finish()]);
    const words = await device.read(resolved, 0, { shape: [count * 2], dtype: 'u32' });
    const nanoseconds = new BigUint64Array(words.buffer, words.byteOffset, count);
    return Array.from(nanoseconds, (time) => Number(time - nanoseconds[0]) / 1000 + Number(nanoseconds[0] % 1_000_000_000_000n) / 1000);
  } finally {
    querySet.destroy();
    resolved.destroy();
  }
}
