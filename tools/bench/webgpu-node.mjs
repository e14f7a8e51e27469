/**
 * Dawn for engines that expect a browser, with the wait that software adapters need: without it a pending promise keeps a core spinning that
 * the driver computes with, and the engine is timed at half its speed.
 */
import os from 'node:os';
import { create, globals } from 'webgpu';

/** @type {{ devices: GPUDevice[], software: boolean }} */
const seen = { devices: [], software: false };

/** Puts WebGPU on globalThis. @param {{ hiddenFeatures?: readonly string[] }} options features that an engine would ask for but cannot use here */
export function provideWebGpu({ hiddenFeatures = [] } = {}) {
  Object.assign(globalThis, globals);
  const gpu = create([]);
  const request = gpu.requestAdapter.bind(gpu);
  gpu.requestAdapter = async (options) => {
    const adapter = await request(options);
    if (adapter === null) return null;
    if (hiddenFeatures.length > 0) {
      const features = new Set([...adapter.features].filter((feature) => !hiddenFeatures.includes(feature)));
      Object.defineProperty(adapter, 'features', { value: features });
    }
    seen.software = /llvmpipe|swiftshader/i.test(`${adapter.info.description} ${adapter.info.device}`);
    const requestDevice = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = async (descriptor) => {
      const device = await requestDevice(descriptor);
      if (seen.software) os.setPriority(0, 19);
      seen.devices.push(device);
      return device;
    };
    return adapter;
  };
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node', hardwareConcurrency: 2 }, configurable: true });
  // Collecting Dawn's instance ends the process in an abort.
  Object.assign(globalThis, { __benchDawn: gpu });
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Awaits a promise; on a software adapter the event loop sleeps between its turns. @template T @param {Promise<T>} promise @returns {Promise<T>} */
export async function sleepingWait(promise) {
  if (!seen.software) return promise;
  let pending = true;
  const turn = () => {
    if (!pending) return;
    Atomics.wait(cell, 0, 0, 0.1);
    setImmediate(turn);
  };
  setImmediate(turn);
  try {
    return await promise;
  } finally {
    pending = false;
  }
}

/** Resolves when everything submitted has run. */
export function finishDevices() {
  return sleepingWait(Promise.all(seen.devices.map((device) => device.queue.onSubmittedWorkDone())));
}
