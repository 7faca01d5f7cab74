/**
 * Messages: items of any length, each encoded into a block that its sender owns, or behind it where it is longer: longs.ts.
 */
import {
  BATCH,
  BLOCK_DATA,
  BLOCK_FREE,
  BLOCK_LENGTH,
  BLOCK_REST,
  BLOCK_STATE,
  FREED,
  PUTTERS_WAIT,
  QUEUE_BLOCK_STRIDE,
  QUEUE_BLOCKS,
  QUEUE_PUTTERS,
  QUEUE_RESERVERS,
  RESERVERS_WAIT,
  SKIPPED,
  THREAD_BATCH,
  THREAD_MAIL,
} from '../kernel/layout.ts';
import { MessageTooLargeError } from '../memory/errors.ts';
import type { Place, Region } from '../memory/region.ts';
import { AGAIN } from '../memory/wait.ts';
import type { Codec } from './codec.ts';
import { copyWords } from './copy.ts';
import { Longs } from './longs.ts';
import type { Lends, Letter, Packed, Payloads } from './payload.ts';

/** Whether no more than `most` items are in the queue. */
export function isDownTo({ region, offset }: Place, most: number): boolean {
  return most === Number.POSITIVE_INFINITY || region.kernel.ringSize(offset) <= most;
}

/** Every codec that is not inline. */
export class Messages<T> implements Payloads<T>, Lends {
  readonly #region: Region;
  readonly #place: Place;
  readonly #codec: Codec<T>;
  readonly #owner: number;
  readonly #blocks: number;
  /** Bytes of a message that a block has room for. */
  readonly blockBytes: number;
  readonly #longs: Longs;
  lacking = 0;
  /** Items that may be in the queue when a producer is woken. */
  wakesAt: number = Number.POSITIVE_INFINITY;
  #asLoan = false;
  #next = 0; // where the search for a free block starts

  constructor(place: Place, codec: Codec<T>) {
    const { region, offset } = place;
    this.#region = region;
    this.#place = place;
    this.#codec = codec.bind?.(region) ?? codec;
    this.#owner = region.slot + 1;
    this.#blocks = region.i32[(offset + QUEUE_BLOCKS) >> 2] ?? 0;
    this.blockBytes = (region.i32[(offset + QUEUE_BLOCK_STRIDE) >> 2] ?? 0) - BLOCK_DATA;
    this.#longs = new Longs(region);
  }

  write(value: T): Letter | typeof AGAIN {
    this.lacking = 0;
    const block = this.#claim();
    if (block === AGAIN) return AGAIN;
    const { i32, buffer } = this.#region;
    const data = block + BLOCK_DATA;
    let written = false;
    try {
      const end = this.#codec.encode(value, buffer, data, data + this.blockBytes);
      if (end >= 0) {
        i32[(block + BLOCK_LENGTH) >> 2] = end - data;
        written = true;
      } else written = this.#writeLong(block, value);
    } finally {
      if (!written) this.drop(block);
    }
    return written ? block : AGAIN;
  }

  #writeLong(block: number, value: T): boolean {
    if (this.#longs.write(block, value, this.#codec)) return true;
    this.lacking = this.#longs.lacking;
    return false;
  }

  hasRoom(bytes: number): boolean {
    return bytes === 0 || this.#longs.hasRoom(bytes);
  }

  /** Claims a block, and what a message of so many bytes needs behind it; AGAIN when either is not there just now. */
  reserve(bytes: number): Letter | typeof AGAIN {
    if (bytes > this.#region.bytes) throw new MessageTooLargeError(bytes, this.#region.pieces.stretchForMessages);
    const block = this.#claim();
    if (block === AGAIN) return AGAIN;
    if (bytes > this.blockBytes && this.#longs.claim(block, bytes) === 0) {
      this.#free(block);
      const most = this.#region.pieces.stretchForMessages;
      if (bytes > most) throw new MessageTooLargeError(bytes, most);
      return AGAIN;
    }
    this.setLength(block, bytes);
    return block;
  }

  /** Whether there is a piece for a message of so many bytes; if not, producers are woken when some are freed. */
  hasStretch(bytes: number): boolean {
    return bytes <= this.blockBytes || this.#longs.hasStretch(bytes);
  }

  /** How long the message is. */
  setLength(letter: Letter, bytes: number): void {
    this.#region.i32[(letter + BLOCK_LENGTH) >> 2] = bytes;
  }

  /** The bytes of the message where they lie, or a copy of them when they lie in several places. */
  bytesOf(letter: Letter): Uint8Array {
    const { i32, buffer } = this.#region;
    const length = i32[(letter + BLOCK_LENGTH) >> 2] as number;
    const long = (i32[(letter + BLOCK_REST) >> 2] as number) > 0;
    const at = long ? this.#longs.at(letter) : letter + BLOCK_DATA;
    if (at !== 0) return new Uint8Array(buffer.buffer, at, length);
    return this.#longs.gathered(letter, (whole) => new Uint8Array(whole.subarray(0, length)));
  }

  send(letter: Letter): number {
    const { kernel, record } = this.#region;
    return kernel.ringPutBlock(this.#place.offset, this.#place.serial, record, letter);
  }

  drop(letter: Letter): void {
    this.#longs.free(letter);
    this.#free(letter);
  }

  /** As `drop`, of a message that was taken. */
  release(letter: Letter): void {
    this.drop(letter);
  }

  /** Somebody may wait for a block, be it that he came after the kernel looked whether somebody waits for its slot. */
  #free(block: number): void {
    const { kernel, parker } = this.#region;
    const { offset } = this.#place;
    const waiting = kernel.blockGive(offset, block);
    if (!waiting) return;
    if (waiting & PUTTERS_WAIT && isDownTo(this.#place, this.wakesAt)) parker.wake(offset + QUEUE_PUTTERS);
    if (waiting & RESERVERS_WAIT) parker.wakeAll(offset + QUEUE_RESERVERS);
  }

  writeMany(values: ArrayLike<T>, from: number, room: number): number {
    const most = Math.min(BATCH, values.length - from, room);
    const letters: Letter[] = []; // aside until all are encoded: a getter of a value may use the batch itself
    for (let i = 0; i < most; i++) {
      const letter = i === 0 ? this.write(values[from] as T) : this.#writeIfGood(values[from + i] as T);
      if (letter === AGAIN) break;
      letters.push(letter);
    }
    const at = (this.#region.record + THREAD_BATCH) >> 2;
    for (let i = 0; i < letters.length; i++) this.#region.i32[at + 2 * i] = letters[i] as Letter;
    return letters.length;
  }

  writePacked(packed: Packed, from: number, room: number): number {
    const most = Math.min(BATCH, packed.count - from, room);
    const at = (this.#region.record + THREAD_BATCH) >> 2;
    for (let i = 0; i < most; i++) {
      const letter = this.#writeBytes(
        packed,
        packed.places[2 * (from + i)] as number,
        packed.places[2 * (from + i) + 1] as number,
      );
      if (letter === AGAIN) return i;
      this.#region.i32[at + 2 * i] = letter;
    }
    return most;
  }

  #writeBytes({ bytes, words }: Packed, start: number, end: number): Letter | typeof AGAIN {
    const length = end - start;
    if (length > this.blockBytes) return this.write(bytes.subarray(start, end) as T);
    const block = this.#claim();
    if (block === AGAIN) return AGAIN;
    const { i32, buffer } = this.#region;
    const data = block + BLOCK_DATA;
    if (words === undefined) buffer.set(bytes.subarray(start, end), data);
    else copyWords(words, start >> 2, i32, data >> 2, (length + 3) >> 2);
    i32[(block + BLOCK_LENGTH) >> 2] = length;
    return block;
  }

  /** A value that is refused is refused by itself, when what is before it was put. */
  #writeIfGood(value: T): Letter | typeof AGAIN {
    try {
      return this.write(value);
    } catch {
      return AGAIN;
    }
  }

  dropMany(sent: number, written: number): void {
    const at = (this.#region.record + THREAD_BATCH) >> 2;
    for (let i = sent; i < written; i++) this.drop(this.#region.i32[at + 2 * i] as number);
  }

  take(): number {
    const { kernel, record } = this.#region;
    return kernel.ringGetBlock(this.#place.offset, this.#place.serial, record, this.#owner);
  }

  /** While lending, what was taken last is read as a loan. */
  lending(on: boolean): void {
    this.#asLoan = on;
  }

  read(): T {
    return this.#asLoan ? (this.lend() as T) : this.decodeTaken();
  }

  /** Lends what was taken last. */
  protected lend(): Letter {
    return this.taken;
  }

  protected decodeTaken(): T {
    return this.decodeAndDrop(this.taken);
  }

  /** Throws InvalidHandleError when the queue was freed: then no message of it is anybody's any more. */
  check(): void {
    this.#region.check(this.#place);
  }

  /** Copies a message that was taken into `words` and drops it: its length, or -1 when it lies behind its block, and nothing is done. */
  copyShort(block: Letter, words: Int32Array): number {
    const { i32 } = this.#region;
    if ((i32[(block + BLOCK_REST) >> 2] as number) > 0) return -1;
    const length = i32[(block + BLOCK_LENGTH) >> 2] as number;
    copyWords(i32, (block + BLOCK_DATA) >> 2, words, 0, (length + 3) >> 2);
    this.#free(block);
    return length;
  }

  /** A message that was taken, as an item of its own. */
  decodeAndDrop(block: Letter): T {
    try {
      return this.decode(block);
    } finally {
      this.drop(block);
    }
  }

  /** The message that was taken last. */
  protected get taken(): Letter {
    return this.#region.i32[(this.#region.record + THREAD_MAIL) >> 2] as number;
  }

  protected decode(block: number): T {
    const { i32, buffer } = this.#region;
    const long = (i32[(block + BLOCK_REST) >> 2] as number) > 0;
    const at = long ? this.#longs.at(block) : block + BLOCK_DATA;
    if (at === 0) return this.#longs.gathered(block, (whole, length) => this.#codec.decode(whole, 0, length));
    return this.#codec.decode(buffer, at, at + (i32[(block + BLOCK_LENGTH) >> 2] as number));
  }

  /** Also what is behind blocks that are reserved, or that were taken and are still read. */
  clear(): void {
    for (let said = this.take(); said > 0 || said === SKIPPED; said = this.take()) {
      if (said > 0) this.drop(this.taken);
    }
    const { kernel } = this.#region;
    for (let index = 0; index < this.#blocks; index++) {
      const block = kernel.blockAt(this.#place.offset, index);
      if (kernel.peek(block + BLOCK_STATE) !== BLOCK_FREE) this.#longs.free(block);
    }
  }

  readMany(items: T[], most: number): number {
    for (let count = 0; count < most; count++) {
      const said = this.take();
      if (said <= 0) return count || said;
      items.push(this.read());
    }
    return most;
  }

  #claim(): number | typeof AGAIN {
    const { kernel } = this.#region;
    const index = kernel.blockClaim(this.#place.offset, this.#place.serial, this.#owner, this.#next);
    if (index === FREED) this.#region.check(this.#place);
    if (index < 0) return AGAIN;
    this.#next = index + 1 === this.#blocks ? 0 : index + 1;
    return kernel.blockAt(this.#place.offset, index);
  }
}
