import { THREAD_BATCH, THREAD_MAIL } from '../../lib/kernel/layout.ts';
import type { Region } from '../../lib/memory/region.ts';
import { codec } from '../../lib/queue/codec.ts';
import type { QueueOptions } from '../../lib/queue/create.ts';
import { Queue } from '../../lib/queue/queue.ts';
import { newRegion } from './regions.ts';

/** Places where 32-bit arithmetic could go wrong; positions count in twos. */
export const starts: readonly number[] = [
  0,
  2 ** 31 - 2,
  2 ** 31 - 4,
  2 ** 31 - 6,
  2 ** 32 - 2,
  2 ** 32 - 4,
  2 ** 32 - 8,
];

/** What the kernel's operations say; a get gives the item instead of DONE or WAKE. */
export interface Ring {
  readonly region: Region;
  readonly queue: Queue<number>;
  put(value: number): number;
  get(): number;
  putMany(values: number[]): number;
  getMany(most: number): number[] | number;
  getBlock(): number;
  size(): number;
  finish(n: number): number;
  unfinished(): number;
  ended(): boolean;
  readable(): boolean;
  writable(): boolean;
  close(): void;
}

/** The kernel's ring operations on a queue of `capacity` items whose positions start at `position`. */
export function newRing(capacity: number, position: number, options: Partial<QueueOptions<number>> = {}): Ring {
  const region = newRegion();
  const { kernel, record, i32, i64, slot } = region;
  const queue = new Queue<number>({ region, capacity, position, codec: codec.f64, ...options });
  const { offset, serial } = queue;
  const mail = (record + THREAD_MAIL) >> 3;
  const isNarrow = options.codec === codec.i32;
  const batch = (record + THREAD_BATCH) >> (isNarrow ? 2 : 3);
  return {
    region,
    queue,
    put(value: number): number {
      if (isNarrow) return kernel.ringPut(offset, serial, value);
      if (options.codec && !options.codec.inline) return kernel.ringPutBlock(offset, serial, record, value);
      i64[mail] = BigInt(value);
      return kernel.ringPutWide(offset, serial, record, slot + 1);
    },
    get(): number {
      const said = kernel.ringGet(offset, serial, record);
      return said > 0 ? Number(i64[mail]) : said;
    },
    putMany(values: number[]): number {
      if (isNarrow) i32.set(values, batch);
      else i64.set(values.map(BigInt), batch);
      return kernel.ringPutMany(offset, serial, record, slot + 1, values.length);
    },
    getMany(most: number): number[] | number {
      const said = kernel.ringGetMany(offset, serial, record, most);
      return said > 0 ? Array.from((isNarrow ? i32 : i64).subarray(batch, batch + said), Number) : said;
    },
    getBlock(): number {
      const said = kernel.ringGetBlock(offset, serial, record, slot + 1);
      return said > 0 ? Number(i64[mail]) : said;
    },
    size: () => kernel.ringSize(offset),
    finish: (n: number) => kernel.ringFinish(offset, n),
    unfinished: () => kernel.ringUnfinished(offset),
    ended: () => kernel.ringClosed(offset) !== 0 && kernel.ringSize(offset) === 0,
    readable: () => kernel.ringReadable(offset) !== 0,
    writable: () => kernel.ringWritable(offset) !== 0,
    close: () => kernel.ringClose(offset),
  };
}
