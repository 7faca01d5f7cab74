/**
 * Messages: items of any length, each encoded into a block that its sender owns, and what the block cannot hold into a chain
 * of pieces behind it.
 */
import {
  BATCH,
  BLOCK_DATA,
  BLOCK_LENGTH,
  BLOCK_REST,
  FREED,
  KIND_LONG,
  LONG_BLOCK,
  LONG_LENGTH,
  LONG_NEXT,
  OBJECT_HEADER,
  OBJECT_KIND,
  OBJECT_SERIAL,
  QUEUE_BLOCK_STRIDE,
  QUEUE_BLOCKS,
  QUEUE_PUTTERS,
  SKIPPED,
  THREAD_BATCH,
  THREAD_MAIL,
  UNIT,
} from '../kernel/layout.ts';
import { MessageTooLargeError } from '../memory/errors.ts';
import type { Place, Region } from '../memory/region.ts';
import { AGAIN } from '../memory/wait.ts';
import type { Codec } from './codec.ts';
import type { Letter, Packed, Payloads } from './payload.ts';

/** Up to so many bytes are faster to copy word by word. */
const FEW_BYTES = 256;

/** Bytes of this thread for messages that are longer than a block; grows as needed. */
let scratch: Buffer | undefined;

/** Takes them; who is called meanwhile, by a getter of the value, gets bytes of its own. */
function takeScratch(bytes: number): Buffer {
  const taken = scratch;
  scratch = undefined;
  return taken && taken.length >= bytes ? taken : Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
}

/** Every codec that is not inline. */
export class Messages<T> implements Payloads<T> {
  readonly #region: Region;
  readonly #place: Place;
  readonly #codec: Codec<T>;
  readonly #owner: number;
  readonly #blocks: number;
  readonly #blockBytes: number;
  lacking = 0;
  #next = 0; // where the search for a free block starts

  constructor(place: Place, codec: Codec<T>) {
    const { region, offset } = place;
    this.#region = region;
    this.#place = place;
    this.#codec = codec.bind?.(region) ?? codec;
    this.#owner = region.slot + 1;
    this.#blocks = region.i32[(offset + QUEUE_BLOCKS) >> 2] ?? 0;
    this.#blockBytes = (region.i32[(offset + QUEUE_BLOCK_STRIDE) >> 2] ?? 0) - BLOCK_DATA;
  }

  write(value: T): Letter | typeof AGAIN {
    this.lacking = 0;
    const block = this.#claim();
    if (block === AGAIN) return AGAIN;
    const { i32, buffer } = this.#region;
    const data = block + BLOCK_DATA;
    let written = false;
    try {
      const end = this.#codec.encode(value, buffer, data, data + this.#blockBytes);
      if (end >= 0) {
        i32[(block + BLOCK_LENGTH) >> 2] = end - data;
        i32[(block + BLOCK_REST) >> 2] = 0;
        written = true;
      } else written = this.#writeLong(block, value);
    } finally {
      if (!written) this.#free(block);
    }
    return written ? block : AGAIN;
  }

  send(letter: Letter): number {
    const { kernel, record } = this.#region;
    return kernel.ringPutBlock(this.#place.offset, this.#place.serial, record, letter);
  }

  drop(letter: Letter): void {
    this.#freeRest(letter);
    this.#free(letter);
  }

  /** Somebody may wait for a block, be it that he came after the kernel looked whether somebody waits for its slot. */
  #free(block: number): void {
    const { kernel, parker } = this.#region;
    kernel.blockFree(block);
    if (kernel.waiting(this.#place.offset + QUEUE_PUTTERS)) parker.wake(this.#place.offset + QUEUE_PUTTERS);
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
    if (length > this.#blockBytes) return this.write(bytes.subarray(start, end) as T);
    const block = this.#claim();
    if (block === AGAIN) return AGAIN;
    const { i32, buffer } = this.#region;
    const data = block + BLOCK_DATA;
    if (words === undefined || length > FEW_BYTES) buffer.set(bytes.subarray(start, end), data);
    else for (let i = 0; i << 2 < length; i++) i32[(data >> 2) + i] = words[(start >> 2) + i] as number;
    i32[(block + BLOCK_LENGTH) >> 2] = length;
    i32[(block + BLOCK_REST) >> 2] = 0;
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

  read(): T {
    const block = this.#region.i32[(this.#region.record + THREAD_MAIL) >> 2] as number;
    try {
      return this.decode(block);
    } finally {
      this.drop(block);
    }
  }

  protected decode(block: number): T {
    const { i32, buffer } = this.#region;
    const length = i32[(block + BLOCK_LENGTH) >> 2] as number;
    if (length <= this.#blockBytes) {
      return this.#codec.decode(buffer, block + BLOCK_DATA, block + BLOCK_DATA + length);
    }
    const whole = this.#gather(block, length);
    const value = this.#codec.decode(whole, 0, length);
    scratch = whole;
    return value;
  }

  clear(): void {
    for (let said = this.take(); said > 0 || said === SKIPPED; said = this.take()) {
      if (said > 0) this.drop(this.#region.i32[(this.#region.record + THREAD_MAIL) >> 2] as number);
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

  #writeLong(block: number, value: T): boolean {
    const limit = this.#region.bytes;
    let aside = takeScratch(64 * 1024);
    let length = this.#codec.encode(value, aside, 0, aside.length);
    while (length < 0) {
      if (aside.length > limit) throw new MessageTooLargeError(aside.length, this.#region.roomForMessages);
      aside = Buffer.allocUnsafeSlow(aside.length * 2);
      length = this.#codec.encode(value, aside, 0, aside.length);
    }
    scratch = aside;
    const first = this.#claimRest(length, block);
    if (first !== 0) this.#scatter(aside, length, block, first);
    return first !== 0;
  }

  /** The pieces for what a block cannot hold of `length` bytes, or 0 when there is no room just now. */
  #claimRest(length: number, block: number): number {
    const rest = length - this.#blockBytes;
    const room = this.#region.roomForMessages;
    if (rest > room) throw new MessageTooLargeError(length, room);
    while (this.hasRoom(rest)) {
      const first = this.#claimChain(rest, block);
      if (first !== 0) return first;
    }
    this.lacking = rest;
    return 0;
  }

  hasRoom(bytes: number): boolean {
    if (bytes === 0 || this.#region.roomNow >= bytes) return true;
    this.#region.kernel.spaceWant();
    return this.#region.roomNow >= bytes;
  }

  #scatter(from: Buffer, length: number, block: number, first: number): void {
    const { i32, buffer } = this.#region;
    i32[(block + BLOCK_LENGTH) >> 2] = length;
    i32[(block + BLOCK_REST) >> 2] = first;
    from.copy(buffer, block + BLOCK_DATA, 0, this.#blockBytes);
    let at = this.#blockBytes;
    for (let piece = first; piece !== 0; piece = i32[(piece + LONG_NEXT) >> 2] as number) {
      const bytes = i32[(piece + LONG_LENGTH) >> 2] as number;
      from.copy(buffer, piece + OBJECT_HEADER, at, at + bytes);
      at += bytes;
    }
  }

  /** Pieces for `bytes` in all, one if the region has one so long: the address of the first, or 0. */
  #claimChain(bytes: number, block: number): number {
    const whole = this.#region.claim(bytes + OBJECT_HEADER, false);
    if (whole >= 0) return this.#long(whole, bytes, 0, block);
    let chain = 0;
    for (let left = bytes; left > 0; ) {
      const unit = this.#region.claimPart(left + OBJECT_HEADER);
      if (unit < 0) {
        this.#freeChain(chain);
        return 0;
      }
      const part = Math.min(left, this.#region.kernel.pieceUnits(unit) * UNIT - OBJECT_HEADER);
      chain = this.#long(unit, part, chain, block);
      left -= part;
    }
    return chain;
  }

  #long(unit: number, bytes: number, next: number, block: number): number {
    const { i32, kernel } = this.#region;
    const piece = kernel.pieceAt(unit);
    i32[(piece + OBJECT_KIND) >> 2] = KIND_LONG;
    i32[(piece + OBJECT_SERIAL) >> 2] = 0;
    i32[(piece + LONG_NEXT) >> 2] = next;
    i32[(piece + LONG_LENGTH) >> 2] = bytes;
    i32[(piece + LONG_BLOCK) >> 2] = block;
    kernel.pieceSeal(unit);
    return piece;
  }

  #gather(block: number, length: number): Buffer {
    const { i32, buffer } = this.#region;
    const whole = takeScratch(length);
    let at = buffer.copy(whole, 0, block + BLOCK_DATA, block + BLOCK_DATA + this.#blockBytes);
    const first = i32[(block + BLOCK_REST) >> 2] as number;
    for (let piece = first; piece !== 0; piece = i32[(piece + LONG_NEXT) >> 2] as number) {
      const from = piece + OBJECT_HEADER;
      at += buffer.copy(whole, at, from, from + (i32[(piece + LONG_LENGTH) >> 2] as number));
    }
    return whole;
  }

  #freeRest(block: number): void {
    const at = (block + BLOCK_REST) >> 2;
    const first = this.#region.i32[at] as number;
    this.#region.i32[at] = 0;
    this.#freeChain(first);
  }

  #freeChain(first: number): void {
    for (let piece = first; piece !== 0; ) {
      const next = this.#region.i32[(piece + LONG_NEXT) >> 2] as number;
      this.#region.release(this.#region.unitOf(piece));
      piece = next;
    }
  }
}
