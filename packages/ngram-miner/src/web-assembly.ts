/** What of WebAssembly the kernels use: the types of ES and Node do not have it. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
  /** @returns how many pages there were before */
  grow(pages: number): number;
}

export const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Memory: new (limits: { readonly initial: number; readonly maximum: number; readonly shared: true }) => WasmMemory;
    readonly Module: new (bytes: Uint8Array) => object;
    readonly Instance: new (module: object, imports: Readonly<Record<string, object>>) => { readonly exports: unknown };
    validate(bytes: Uint8Array): boolean;
  };
};
