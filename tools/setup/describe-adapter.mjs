/** Prints the adapter that Dawn gives as JSON: who it is, the features and the limits that the kernels care about. */
import process from 'node:process';
import { create } from 'webgpu';

const adapter = await create([]).requestAdapter();
if (adapter === null) process.exit(1);
const { info, features, limits } = adapter;
process.stdout.write(
  JSON.stringify({
    description: info.description,
    vendor: info.vendor,
    architecture: info.architecture,
    subgroupSizes: `${info.subgroupMinSize}..${info.subgroupMaxSize}`,
    features: ['shader-f16', 'subgroups', 'timestamp-query'].map((name) => `${name}: ${features.has(name) ? 'yes' : 'no'}`),
    maxBufferSize: limits.maxBufferSize,
    maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
    maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
  }),
);
process.exit(0);
