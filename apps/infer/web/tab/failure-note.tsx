/** What went wrong and what to do about it; where there is no WebGPU, who has it. */
import type { Failure } from './messages.js';

export function FailureNote({ failure: { code, message, remedy } }: { readonly failure: Failure }) {
  const isWithout = code === 'DEVICE_NO_WEBGPU' || code === 'DEVICE_NO_ADAPTER';
  return (
    <div class="problem" role="alert">
      <p>{message}</p>
      {isWithout ? <WhoHasWebGpu /> : <p>{code === 'DEVICE_LOST' ? 'Load the model again to go on.' : remedy}</p>}
    </div>
  );
}

function WhoHasWebGpu() {
  if (!isSecureContext) return <p>Browsers give WebGPU only to pages that come over https or from localhost: open this page so.</p>;
  return (
    <>
      <p>This page needs WebGPU. These browsers have it:</p>
      <ul>
        <li>Chrome and Edge 113 and later on Windows, macOS and ChromeOS; 121 and later on Android</li>
        <li>Safari 26 and later on macOS, iOS and iPadOS</li>
        <li>Firefox 141 and later on Windows, 145 and later on macOS</li>
        <li>Chrome on Linux, with the flag enable-unsafe-webgpu where it is not on yet</li>
      </ul>
    </>
  );
}
