/** A turn of the event loop, in Node and in browsers, where timers wait for milliseconds. */
export function turn(): Promise<void> {
  const { setImmediate } = globalThis as { readonly setImmediate?: (work: () => void) => void };
  return new Promise((resolve) => {
    if (setImmediate !== undefined) {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    const arrived = () => {
      port1.close();
      resolve();
    };
    port1.addEventListener('message', arrived);
    port1.start();
    port2.postMessage(undefined);
  });
}
