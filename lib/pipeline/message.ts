/**
 * Messages of a pipeline: some records, encoded one behind the other, that travel through a queue as one item of bytes.
 *
 * A message has its number among those of its stage, by which order is kept; the number of its first record, for errors;
 * how many records there are; the ticket of the items that they came of; and each record with its length before it.
 */
import { MessageTooLargeError } from '../memory/errors.ts';
import type { Region } from '../memory/region.ts';
import { type Codec, codec as codecs } from '../queue/codec.ts';

const SEQUENCE = 0; // f64
const FIRST = 8; // f64
const COUNT = 16; // u32
const TICKET = 20; // u32
const HEADER = 24;
const LENGTH = 4;
const LEAST_BYTES = 4096;

/** The codec of that name, for messages of a region. */
export function codecNamed(name: string, region: Region): Codec<unknown> {
  const codec = codecs[name as 'any'];
  return codec.bind?.(region) ?? codec;
}

/** Where a message stands among those of its stage. */
export interface Numbers {
  readonly sequence: number;
  readonly first: number;
}

/** Writes those numbers into a packed message. */
export function number(message: Buffer, { sequence, first }: Numbers): void {
  message.writeDoubleLE(sequence, SEQUENCE);
  message.writeDoubleLE(first, FIRST);
}

/** Writes a ticket into a packed message. */
export function mark(message: Buffer, ticket: number): void {
  message.writeUInt32LE(ticket, TICKET);
}

/** How many records a packed message has. */
export function countOf(message: Buffer): number {
  return message.readUInt32LE(COUNT);
}

/** Encodes records into a message. */
export class Packer {
  /** Records so far. */
  count = 0;
  /** Bytes so far. */
  bytes: number = HEADER;
  readonly #codec: Codec<unknown>;
  readonly #region: Region;
  #into: Buffer = Buffer.allocUnsafeSlow(LEAST_BYTES);

  constructor(codec: string, region: Region) {
    this.#codec = codecNamed(codec, region);
    this.#region = region;
  }

  /** Adds a record. Throws CodecError, or MessageTooLargeError, and then has added nothing. */
  add(value: unknown): void {
    const from = this.bytes + LENGTH;
    let end = this.#codec.encode(value, this.#into, from, this.#into.length);
    while (end < 0) {
      this.#grow();
      end = this.#codec.encode(value, this.#into, from, this.#into.length);
    }
    this.#into.writeUInt32LE(end - from, this.bytes);
    this.bytes = end;
    this.count++;
  }

  /** The message, in bytes that the next record overwrites. */
  take(): Buffer {
    const message = this.#into.subarray(0, this.bytes);
    message.writeUInt32LE(this.count, COUNT);
    this.count = 0;
    this.bytes = HEADER;
    return message;
  }

  #grow(): void {
    const most = this.#region.roomForMessages;
    if (this.#into.length > most) throw new MessageTooLargeError(this.#into.length, most);
    const more = Buffer.allocUnsafeSlow(this.#into.length * 2);
    this.#into.copy(more, 0, 0, this.bytes);
    this.#into = more;
  }
}

/** Decodes the records of a message, one after the other. */
export class Message {
  readonly sequence: number;
  readonly count: number;
  readonly ticket: number;
  /** The number of the next record. */
  record: number;
  readonly #from: Buffer;
  readonly #codec: Codec<unknown>;
  #at: number = HEADER;
  #left: number;

  constructor(bytes: Uint8Array, codec: Codec<unknown>) {
    const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#from = from;
    this.#codec = codec;
    this.sequence = from.readDoubleLE(SEQUENCE);
    this.record = from.readDoubleLE(FIRST);
    this.ticket = from.readUInt32LE(TICKET);
    this.count = this.#left = from.readUInt32LE(COUNT);
  }

  /** Whether there is a next record. */
  get more(): boolean {
    return this.#left > 0;
  }

  /** The next record. Throws what its codec throws, and then has gone past it. */
  next(): unknown {
    const start = this.#at + LENGTH;
    const end = start + this.#from.readUInt32LE(this.#at);
    this.#at = end;
    this.#left--;
    this.record++;
    return this.#codec.decode(this.#from, start, end);
  }
}
