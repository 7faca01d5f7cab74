import { readFileSync } from 'node:fs';
import { type Instrumented, instrument } from './instrument.ts';

/** The kernel as it ships, with hooks. */
export function shippedKernel(): Instrumented {
  return instrument(readFileSync(new URL('../../../lib/kernel/kernel.wasm', import.meta.url)));
}
