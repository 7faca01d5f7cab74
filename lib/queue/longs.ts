/**
 * Longs: messages that are longer than a block. One lies behind its block in one piece of the region where that has one so
 * long, and otherwise in a chain of pieces.
 *
 * Source: the free lists by size of slab allocators (Bonwick, "The Slab Allocator", 1994); here a block remembers the piece
 * that was behind it last, which is free again when the block is, unless somebody else had need of it.
 */
import {
  BLOCK_LENGTH,
  BLOCK_REST,
  KIND_LONG,
  LONG_BLOCK,
  LONG_LENGTH,
  LONG_NEXT,
  OBJECT_HEADER,
  OBJECT_KIND,
  OBJECT_SERIAL,
  UNIT,
} from '../kernel/layout.ts';
import { MessageTooLargeError } from '../memory/errors.ts';
import type { Region } from '../memory/region.ts';
import type { Codec } from './codec.ts';

/** Bytes of this thread for messages whose length nobody knows before they are encoded, and for chains; grows as needed. */
let scratch: Buffer | undefined;

/** Takes them; who is called meanwhile, by a getter of the value, gets bytes of its own. */
function takeScratch(bytes: number): Buffer {
  const taken = scratch;
  scratch = undefined;
  return taken && taken.length >= bytes ? taken : Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(bytes)));
}

/** The messages behind the blocks of one thread's queues. */
export class Longs {
  readonly #region: Region;
  /** After a write that found no room: how many bytes it lacked. */
  lacking = 0;

  constructor(region: Region) {
    this.#region = region;
  }

  /** Writes the value behind the block; false when there is no room just now. Throws MessageTooLargeError. */
  write<T>(block: number, value: T, codec: Codec<T>): boolean {
    const most = codec.size?.(value);
    if (most !== undefined && this.#writeStraight(block, value, codec, most)) return true;
    const aside = takeScratch(64 * 1024);
    const { bytes, length } = this.#encode(value, codec, aside);
    scratch = bytes;
    const at = this.claim(block, length);
    if (at !== 0) bytes.copy(this.#region.buffer, at, 0, length);
    else if (this.#claimChain(block, length)) this.#scatter(block, bytes);
    else return false;
    this.#region.i32[(block + BLOCK_LENGTH) >> 2] = length;
    return true;
  }

  /** Encodes where the message shall lie, a value that takes no more than `most` bytes; false when it could not. */
  #writeStraight<T>(block: number, value: T, codec: Codec<T>, most: number): boolean {
    const at = most > this.#region.bytes ? 0 : this.claim(block, most);
    if (at === 0) return false;
    const end = codec.encode(value, this.#region.buffer, at, at + most);
    if (end < 0) this.free(block);
    else this.#region.i32[(block + BLOCK_LENGTH) >> 2] = end - at;
    return end >= 0;
  }

  #encode<T>(value: T, codec: Codec<T>, aside: Buffer): { bytes: Buffer; length: number } {
    let bytes = aside;
    let length = codec.encode(value, bytes, 0, bytes.length);
    while (length < 0) {
      if (bytes.length > this.#region.bytes) {
        throw new MessageTooLargeError(bytes.length, this.#region.pieces.roomForMessages);
      }
      bytes = Buffer.allocUnsafeSlow(bytes.length * 2);
      length = codec.encode(value, bytes, 0, bytes.length);
    }
    return { bytes, length };
  }

  /** Claims one piece for so many bytes behind the block: the address of the first, or 0 when none is so long just now. */
  claim(block: number, bytes: number): number {
    const { i32, kernel, slot } = this.#region;
    const last = -(i32[(block + BLOCK_REST) >> 2] as number);
    const units = Math.ceil((bytes + OBJECT_HEADER) / UNIT);
    let unit = last > 0 ? this.#region.pieces.unitOf(last) : -1;
    if (unit < 0 || !kernel.pieceClaimAt(unit, units, slot))
      unit = this.#region.pieces.claim(bytes + OBJECT_HEADER, false);
    if (unit < 0) return 0;
    const piece = this.#build(unit, bytes, 0, block);
    i32[(block + BLOCK_REST) >> 2] = piece;
    return piece + OBJECT_HEADER;
  }

  /** Pieces for `bytes` in all; false when there is no room just now. */
  #claimChain(block: number, bytes: number): boolean {
    const room = this.#region.pieces.roomForMessages;
    if (bytes > room) throw new MessageTooLargeError(bytes, room);
    while (this.hasRoom(bytes)) if (this.#buildChain(block, bytes)) return true;
    this.lacking = bytes;
    return false;
  }

  /** Whether the region has so many bytes, be it in pieces; if not, all producers are woken when some are freed. */
  hasRoom(bytes: number): boolean {
    return this.#look(() => this.#region.pieces.roomNow >= bytes);
  }

  /** As that, in one piece. */
  hasStretch(bytes: number): boolean {
    return this.#look(() => this.#region.pieces.stretchNow >= bytes);
  }

  #look(has: () => boolean): boolean {
    if (has()) return true;
    this.#region.kernel.spaceWant();
    return has();
  }

  #buildChain(block: number, bytes: number): boolean {
    const { i32, kernel } = this.#region;
    let chain = 0;
    for (let left = bytes; left > 0; ) {
      const unit = this.#region.pieces.claimPart(left + OBJECT_HEADER);
      if (unit < 0) {
        this.#freeChain(chain);
        return false;
      }
      const part = Math.min(left, kernel.pieceUnits(unit) * UNIT - OBJECT_HEADER);
      chain = this.#build(unit, part, chain, block);
      left -= part;
    }
    i32[(block + BLOCK_REST) >> 2] = chain;
    return true;
  }

  #build(unit: number, bytes: number, next: number, block: number): number {
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

  #scatter(block: number, from: Buffer): void {
    let at = 0;
    for (const { start, bytes } of this.#parts(block)) {
      from.copy(this.#region.buffer, start, at, at + bytes);
      at += bytes;
    }
  }

  /** Where the message behind the block lies, if there is one and it lies in one piece, or 0. */
  at(block: number): number {
    const { i32 } = this.#region;
    const first = i32[(block + BLOCK_REST) >> 2] as number;
    return first > 0 && i32[(first + LONG_NEXT) >> 2] === 0 ? first + OBJECT_HEADER : 0;
  }

  /** Hands a copy of the message behind the block to `use`, which may not keep it. */
  gathered<R>(block: number, use: (whole: Buffer, length: number) => R): R {
    const length = this.#region.i32[(block + BLOCK_LENGTH) >> 2] as number;
    const whole = takeScratch(length);
    let at = 0;
    for (const { start, bytes } of this.#parts(block)) {
      at += this.#region.buffer.copy(whole, at, start, start + bytes);
    }
    const result = use(whole, length);
    scratch = whole;
    return result;
  }

  *#parts(block: number): Generator<{ start: number; bytes: number }> {
    const { i32 } = this.#region;
    for (let piece = i32[(block + BLOCK_REST) >> 2] as number; piece !== 0; ) {
      yield { start: piece + OBJECT_HEADER, bytes: i32[(piece + LONG_LENGTH) >> 2] as number };
      piece = i32[(piece + LONG_NEXT) >> 2] as number;
    }
  }

  /** Frees what is behind the block, if anything is, and leaves a hint where it was. */
  free(block: number): void {
    const { i32 } = this.#region;
    const at = (block + BLOCK_REST) >> 2;
    const first = i32[at] as number;
    if (first <= 0) return;
    i32[at] = -first;
    this.#freeChain(first);
  }

  #freeChain(first: number): void {
    for (let piece = first; piece !== 0; ) {
      const next = this.#region.i32[(piece + LONG_NEXT) >> 2] as number;
      this.#region.pieces.release(this.#region.pieces.unitOf(piece));
      piece = next;
    }
  }
}
