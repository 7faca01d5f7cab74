/** Create: the options of a new queue, and how it lies in its region. */
import {
  BLOCK_DATA,
  KIND_QUEUE,
  QUEUE_BLOCK_STRIDE,
  QUEUE_BLOCKS,
  QUEUE_BLOCKS_AT,
  QUEUE_CODEC,
  QUEUE_FINISHED,
  QUEUE_HEAD,
  QUEUE_HEAD_SEEN,
  QUEUE_LIMIT,
  QUEUE_MASK,
  QUEUE_NUMBER_SHIFT,
  QUEUE_NUMBERS_AT,
  QUEUE_RECORD,
  QUEUE_REDELIVERS,
  QUEUE_SLOT_SHIFT,
  QUEUE_SLOTS,
  QUEUE_TAIL,
  QUEUE_TEXT,
  SLOT_SHIFT,
  SPARE_BLOCKS,
} from '../kernel/layout.ts';
import { requireInteger, show } from '../memory/errors.ts';
import { placement, type SharedObjectOptions } from '../memory/handles.ts';
import type { Place } from '../memory/region.ts';
import { type Codec, codec as codecs } from './codec.ts';
import { knownAs, putKnown } from './known.ts';
import { Struct } from './struct.ts';

export const MAX_CAPACITY: number = 2 ** 24;
const MAX_BLOCK_BYTES = 2 ** 24;
const DEFAULT_BLOCK_BYTES = 240; // with its header four cache lines

/** Options of `new Queue`. */
export interface QueueOptions<T> extends SharedObjectOptions {
  /** How many items it holds at the most, 1 to 16,777,216. */
  capacity: number;
  /** How items become bytes; `codec.any` by default: all that `structuredClone` carries. */
  codec?: Codec<T> | Codec<unknown> | undefined;
  /** Bytes of a message that need no further memory, 16 to 16,777,216; 240 by default. Longer messages work, more slowly. */
  blockBytes?: number | undefined;
  /**
   * Whether an item that a thread has taken stays that thread's until it calls `taskDone` for it: if it dies first, the item
   * comes back, before newer ones, to whoever takes the next. False by default: the item is lost with it.
   */
  redeliver?: boolean | undefined;
  /** @internal Where the positions start, for the specs of the wrap. */
  position?: number;
}

/** Bytes of the numbers that an inline codec carries; undefined for others. */
export function bytesOfNumber({ inline }: Codec<unknown>): 4 | 8 | undefined {
  return inline && (inline === 'f64' || inline === 'i64' ? 8 : 4);
}

/** Makes a queue in its region. */
export function create<T>(options: QueueOptions<T>): Place {
  const { region, name } = placement(options);
  const { capacity, blockBytes = DEFAULT_BLOCK_BYTES, position = 0, redeliver = false } = options;
  requireInteger('capacity', capacity, 1, MAX_CAPACITY);
  requireInteger('blockBytes', blockBytes, 16, MAX_BLOCK_BYTES);
  if (typeof redeliver !== 'boolean') throw new TypeError(`redeliver must be true or false: got ${show(redeliver)}`);
  const codec = (options.codec ?? codecs.any) as Codec<unknown>;
  const known = knownAs(codec);
  const record = codec instanceof Struct && !redeliver ? codec.bytes : 0;
  const number = redeliver ? undefined : bytesOfNumber(codec);
  const slots = 2 ** Math.ceil(Math.log2(capacity + 1)); // one more than the capacity, for the closing mark
  const shift = Math.ceil(Math.log2(2 ** SLOT_SHIFT + record));
  const blocks = record || number ? 0 : capacity * (redeliver ? 2 : 1) + SPARE_BLOCKS; // those that were taken keep theirs
  const stride = Math.ceil((BLOCK_DATA + blockBytes) / 64) * 64;
  const numbersAt = QUEUE_SLOTS + slots * 2 ** shift;
  const blocksAt = Math.ceil((numbersAt + slots * (number ?? 0)) / 64) * 64;
  const textAt = blocksAt + blocks * stride;
  return region.create(KIND_QUEUE, textAt + known.bytes, name, (offset) => {
    const words: Record<number, number> = {
      [QUEUE_MASK]: slots - 1,
      [QUEUE_LIMIT]: capacity * 2,
      [QUEUE_CODEC]: known.number,
      [QUEUE_BLOCKS]: blocks,
      [QUEUE_BLOCK_STRIDE]: stride,
      [QUEUE_BLOCKS_AT]: offset + blocksAt,
      [QUEUE_SLOT_SHIFT]: shift,
      [QUEUE_REDELIVERS]: Number(redeliver),
      [QUEUE_NUMBERS_AT]: number ? offset + numbersAt : 0,
      [QUEUE_NUMBER_SHIFT]: number === 8 ? 3 : 2,
      [QUEUE_RECORD]: codec instanceof Struct ? codec.bytes : 0,
      [QUEUE_TEXT]: putKnown(region, known, offset + textAt),
      [QUEUE_TAIL]: position,
      [QUEUE_HEAD_SEEN]: position,
      [QUEUE_HEAD]: position,
      [QUEUE_FINISHED]: position,
    };
    for (const [at, value] of Object.entries(words)) region.i32[(offset + Number(at)) >> 2] = value;
  });
}
