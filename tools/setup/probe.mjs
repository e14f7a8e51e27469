/** Prints the description of the adapter that Dawn gives and makes a device on it; exits 1 where there is none. */
import process from 'node:process';
import { create } from 'webgpu';

const gpu = create([]);
const adapter = await gpu.requestAdapter();
if (adapter === null) process.exit(1);
const device = await adapter.requestDevice();
process.stdout.write(`${adapter.info.description || adapter.info.vendor}\n`);
device.destroy();
process.exit(0);
