/**
 * Heap: the memory of arrays that were collected, which the C library shall keep for the next ones.
 *
 * Source: malloc of glibc. It gives the free memory at the end of a heap back to the system from M_TRIM_THRESHOLD on, 128 KiB at
 * first, and each array that is made after a collection is then faulted in anew, page by page, which takes longer than to
 * fill it. The threshold adapts: to twice the largest chunk that was mapped by itself and freed. So one such chunk is freed,
 * in which no page was ever touched. Whoever has set the threshold by the environment keeps what was set.
 */

/** From this length on messages are worth it, in bytes. */
export const LARGE: number = 16 * 1024;
/** The largest to which glibc adapts, with room for what it adds. */
const LARGEST_CHUNK = 32 * 1024 * 1024 - 64 * 1024;

let kept = false;

/** Once a thread. The threshold rises with the next collection. */
export function keepFreedMemory(): void {
  if (kept) return;
  kept = true;
  try {
    new ArrayBuffer(LARGEST_CHUNK);
  } catch {
    // who has not even the addresses for it goes on as before
  }
}
