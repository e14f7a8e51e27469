/** A hash of every parameter's name and f32 bits: what a store of rows is bound to, in whatever form the weights are kept. */
import { sha256 } from '@sconelm/artifact';
import type { ParameterSink, ParameterSource } from './weights.js';

export class Fingerprint {
  readonly #hashes: string[] = [];

  /** Takes the next parameter. */
  add(name: string, { buffer, byteOffset, byteLength }: Float32Array<ArrayBuffer>): void {
    this.#hashes.push(`${name} ${sha256(new Uint8Array(buffer, byteOffset, byteLength))}`);
  }

  /** A sink whose values are taken before they pass on. */
  through(sink: ParameterSink): ParameterSink {
    const { name, shape } = sink;
    const write = (data: Float32Array<ArrayBuffer>) => {
      this.add(name, data);
      sink.write(data);
    };
    return { name, shape, write };
  }

  /** Of the parameters so far, in their order. */
  get value(): string {
    return sha256(this.#hashes.join('\n'));
  }
}

/** Of variables on a device, or other sources of values. */
export async function fingerprint(variables: Iterable<ParameterSource>): Promise<string> {
  const all = new Fingerprint();
  for (const variable of variables) all.add(variable.name, (await variable.read()) as Float32Array<ArrayBuffer>);
  return all.value;
}
