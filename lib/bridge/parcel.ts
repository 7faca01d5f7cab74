/**
 * Parcels: items of a queue on their way between two processes, as the bytes of the queue's codec. 4 bytes say how many; of
 * each item 4 bytes say how long it is, and behind it there is nothing up to a multiple of 4. A codec that meets its bytes here knows of no region: it writes no references, and what
 * would be one is refused when it is read, so that nothing of a region can be reached from outside.
 */
import { MessageTooLargeError } from '../memory/errors.ts';
import { pack, unpack } from '../pool/failure.ts';
import { type Codec, codec as codecs } from '../queue/codec.ts';
import type { Packed } from '../queue/payload.ts';
import { ProtocolError, padded } from './frame.ts';

/** Bytes of a parcel before its items: how many there are. */
export const COUNT = 4;
const LENGTH = 4;
const FULL = -1; // what a codec says when there is not enough room
const SCRATCH_BYTES = 64 * 1024;

/** How much may go into a parcel. */
export interface Room {
  readonly items: number;
  /** More only for one item alone. */
  readonly bytes: number;
  /** Not even that may be longer. */
  readonly most: number;
}

export interface Parcel {
  /** To be copied before anything else is packed. */
  readonly body: Buffer;
  readonly items: number;
}

let scratch: Buffer | undefined;

/**
 * Packs the first of `values` from index `from` on, at least one. An item that the codec refuses ends the parcel before it; if it
 * is the first, throws CodecError, or MessageTooLargeError.
 */
export function packItems<T>(codec: Codec<T>, values: ArrayLike<T>, from: number, room: Room): Parcel {
  let into = scratch ?? Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  scratch = undefined; // a getter in a value may pack something itself
  let at = COUNT;
  let items = 0;
  const most = Math.min(room.items, values.length - from);
  while (items < most) {
    let end: number;
    try {
      end = packItem(codec, values[from + items] as T, into, at);
    } catch (error) {
      if (items === 0) throw error;
      break;
    }
    if (end === FULL) {
      if (items > 0 && into.length >= room.bytes) break;
      if (into.length > room.most) throw new MessageTooLargeError(into.length, room.most, 'the connection');
      into = grown(into, at);
      continue;
    }
    if (items > 0 && end > room.bytes) break;
    if (end > room.most) throw new MessageTooLargeError(end, room.most, 'the connection');
    at = end;
    items++;
  }
  into.writeUInt32LE(items, 0);
  if (into.length <= SCRATCH_BYTES * 16) scratch = into;
  return { body: into.subarray(0, at), items };
}

/** Packs an item from byte `at` of `into` on, whose length is a multiple of 4: where the next one goes, or -1 without enough room. */
export function packItem<T>(codec: Codec<T>, value: T, into: Buffer, at: number): number {
  const start = at + LENGTH;
  const end = start > into.length ? FULL : codec.encode(value, into, start, into.length);
  if (end === FULL) return FULL;
  into.writeUInt32LE(end - start, at);
  return padded(end);
}

function grown(buffer: Buffer, used: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(buffer.length * 2);
  buffer.copy(larger, 0, 0, used);
  return larger;
}

/** Where the items of a parcel lie, for those who need not decode them; good until the next one is looked at. */
export interface Places {
  readonly count: number;
  /** Where each item starts and ends. */
  readonly at: Uint32Array;
}

const PLACES = new Uint32Array(4096);

/** The places of the items of the parcel from byte `start` on, counted from `base`. Throws ProtocolError for bytes that are none. */
export function placesOf(from: Buffer, start: number, base = 0): Places {
  let at = start + COUNT;
  if (at > from.length) throw new ProtocolError('a parcel lacks its number of items');
  const count = from.readUInt32LE(start);
  if (count * LENGTH > from.length - at) throw new ProtocolError('a parcel ends in the middle of an item');
  const places = 2 * count > PLACES.length ? new Uint32Array(2 * count) : PLACES;
  for (let i = 0; i < count; i++) {
    const begin = at + LENGTH;
    const end = begin > from.length ? Number.NaN : begin + from.readUInt32LE(at);
    at = padded(end);
    if (!(at <= from.length)) throw new ProtocolError('a parcel ends in the middle of an item');
    places[2 * i] = base + begin;
    places[2 * i + 1] = base + end;
  }
  if (at !== from.length) throw new ProtocolError(`a parcel has ${from.length - at} bytes behind its last item`);
  return { count, at: places };
}

let received: Uint8Array = new Uint8Array(); // the memory in which the last parcel came: many of them come in one piece
let inWords: Int32Array = new Int32Array();

/** A parcel of `codec.bytes`, as it was received; good until the next one is looked at. Throws ProtocolError. */
export function packedOf(from: Buffer): Packed {
  const { buffer, byteOffset } = from;
  const { count, at } = placesOf(from, 0, byteOffset);
  if (buffer !== received.buffer) {
    received = new Uint8Array(buffer);
    inWords = new Int32Array(buffer, 0, buffer.byteLength >> 2);
  }
  const isAligned = byteOffset % Int32Array.BYTES_PER_ELEMENT === 0;
  return { count, places: at, bytes: received, words: isAligned ? inWords : undefined };
}

/** The items of the parcel from byte `start` on. Throws ProtocolError for bytes that are none. */
export function unpackItems<T>(codec: Codec<T>, from: Buffer, start: number): T[] {
  const { count, at } = placesOf(from, start);
  const items: T[] = [];
  for (let i = 0; i < count; i++) items.push(unpackItem(codec, from, at[2 * i] as number, at[2 * i + 1] as number));
  return items;
}

/** An item that lies there. Throws ProtocolError, whose cause is what the codec says of it. */
export function unpackItem<T>(codec: Codec<T>, from: Buffer, at: number, end: number): T {
  const bytes = codec.inline && (codec.inline.endsWith('32') ? 4 : 8);
  if (bytes !== undefined && end - at !== bytes) throw new ProtocolError(`an item of ${codec.name} has ${bytes} bytes`);
  if (bytes !== undefined || (codec as unknown) === codecs.bytes) return codec.decode(from, at, end);
  try {
    // Of these bytes alone: a codec that reads past its end shall find nothing there.
    return codec.decode(from.subarray(at, end), 0, end - at);
  } catch (cause) {
    throw new ProtocolError(`an item is none of codec ${codec.name}`, { cause });
  }
}

const ANY_ROOM: Room = { items: 1, bytes: 0, most: 2 ** 24 };

/** An error as the rest of a frame. */
export function packError(error: unknown): Buffer {
  try {
    return packItems(codecs.any, [pack(error)], 0, ANY_ROOM).body;
  } catch {
    return packItems(codecs.any, [pack(new Error(String(error)))], 0, ANY_ROOM).body; // a shared object in it, say
  }
}

export function unpackError(rest: Buffer): unknown {
  return unpack(unpackItems(codecs.any, rest, 0)[0] as never);
}
