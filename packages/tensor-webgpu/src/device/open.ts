/** Opening a device: `navigator.gpu` in browsers, Dawn (npm `webgpu`) in Node. All limits and the features that kernels use are asked for. */
import { DeviceError } from '../errors.js';
import type { AdapterTraits } from '../kernels/kernel.js';
import { Device } from './device.js';

export interface OpenDeviceOptions {
  /** Which adapter to ask for, where there are several. */
  readonly powerPreference?: GPUPowerPreference;
  /** Chooses the forms of kernels as if the adapter had these traits: for tests and benches. Results are the same up to rounding. */
  readonly traits?: Partial<AdapterTraits>;
}

const OPTIONAL_FEATURES: readonly GPUFeatureName[] = ['subgroups', 'shader-f16', 'timestamp-query'];

/**
 * Opens a WebGPU device.
 * @throws {DeviceError} `DEVICE_NO_WEBGPU` or `DEVICE_NO_ADAPTER`, with what to install
 */
export async function openDevice({ powerPreference = 'high-performance', traits }: OpenDeviceOptions = {}): Promise<Device> {
  const gpu = await findWebGpu();
  const adapter = await gpu.requestAdapter({ powerPreference });
  if (adapter === null) {
    throw new DeviceError('DEVICE_NO_ADAPTER', 'WebGPU found no adapter on this machine', {
      remedy:
        'Install a Vulkan driver (on Debian 12 without a GPU: mesa-vulkan-drivers from bookworm-backports), or enable WebGPU in the browser.',
    });
  }
  const requiredFeatures = OPTIONAL_FEATURES.filter((feature) => adapter.features.has(feature));
  const { limits } = adapter;
  const device = await adapter.requestDevice({
    requiredFeatures,
    requiredLimits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    },
  });
  const software = isSoftware(adapter.info);
  // The driver's threads do the computing: they come before the thread that waits for them.
  if (software && typeof process !== 'undefined') (await import('node:os')).setPriority(0, 19);
  return new Device(device, adapter.info, { software, ...traits });
}

function isSoftware(info: GPUAdapterInfo): boolean {
  return /llvmpipe|lavapipe|swiftshader|software|basic render/i.test(`${info.architecture} ${info.description} ${info.device}`);
}

async function findWebGpu(): Promise<GPU> {
  const { navigator } = globalThis as { readonly navigator?: { readonly gpu?: GPU } };
  if (navigator?.gpu !== undefined) return navigator.gpu;
  if (typeof process === 'undefined' || process.versions?.node === undefined) {
    throw new DeviceError('DEVICE_NO_WEBGPU', 'this browser has no WebGPU (navigator.gpu is missing)', {
      remedy: 'Use a browser with WebGPU, over https or on localhost.',
    });
  }
  return dawn();
}

// Dawn's instance must outlive every object made from it: collecting it ends the process in an abort.
const kept = globalThis as typeof globalThis & { __sconelmDawn?: GPU };

async function dawn(): Promise<GPU> {
  if (kept.__sconelmDawn !== undefined) return kept.__sconelmDawn;
  try {
    const { create, globals } = await import('webgpu');
    Object.assign(globalThis, globals);
    kept.__sconelmDawn = create([]);
    return kept.__sconelmDawn;
  } catch (cause) {
    throw new DeviceError('DEVICE_NO_WEBGPU', 'Dawn (npm webgpu) could not be loaded', {
      remedy: 'Install the webgpu package for this platform (Linux, macOS or Windows on x64 or arm64).',
      cause,
    });
  }
}
