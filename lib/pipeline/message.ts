/**
 * Messages of a pipeline: some records, encoded one behind the other, that travel through a queue as one item.
 *
 * A message has its number among those of its stage, by which order is kept; the number of its first record, for errors;
 * how many records there are; the ticket of the items that they came of; and the records, in the form of its line.
 */
import { MessageTooLargeError } from '../memory/errors.ts';
import type { Region } from '../memory/region.ts';
import { type Codec, codec } from '../queue/codec.ts';
import { Chunk, type Form } from './form.ts';

const SEQUENCE = 0; // f64
const FIRST = 8; // f64
const COUNT = 16; // u32
const TICKET = 20; // u32
const HEADER = 24;
const LEAST_BYTES = 4096;
const KEPT = 16; // chunks, of so many bytes at the most
const KEPT_BYTES = 64 * 1024;

/** Memory of messages that were read to their end, for the next ones. */
const spare: Chunk[] = [];

/** A chunk of so many bytes or more. */
function chunkOf(bytes: number): Chunk {
  const chunk = spare.pop();
  return chunk && chunk.bytes.length >= bytes
    ? chunk
    : new Chunk(Math.max(LEAST_BYTES, 2 ** Math.ceil(Math.log2(bytes))));
}

/** The codec of the queues between stages: bytes, which arrive in memory that is used again. */
export const messages: Codec<Chunk> = codec.define<Chunk>({
  name: 'message of a pipeline',
  size: ({ length }) => length,
  encode({ bytes, length }, target) {
    target.set(bytes.subarray(0, length));
    return length;
  },
  decode(source) {
    const chunk = chunkOf(source.length);
    chunk.bytes.set(source);
    chunk.length = source.length;
    return chunk;
  },
});

/** Where a message stands among those of its stage. */
export interface Numbers {
  readonly sequence: number;
  readonly first: number;
}

/** Writes those numbers into a packed message. */
export function number({ bytes }: Chunk, { sequence, first }: Numbers): void {
  bytes.writeDoubleLE(sequence, SEQUENCE);
  bytes.writeDoubleLE(first, FIRST);
}

/** Writes a ticket into a packed message. */
export function mark({ bytes }: Chunk, ticket: number): void {
  bytes.writeUInt32LE(ticket, TICKET);
}

/** How many records a packed message has. */
export function countOf({ bytes }: Chunk): number {
  return bytes.readUInt32LE(COUNT);
}

/** Gives the memory of a message back that nobody will look at again. */
export function recycle(chunk: Chunk): void {
  if (spare.length < KEPT && chunk.bytes.length <= KEPT_BYTES) spare.push(chunk);
}

/** Encodes records into a message. */
export class Packer {
  /** Records so far. */
  count = 0;
  /** Bytes so far. */
  bytes: number = HEADER;
  readonly #form: Form;
  readonly #region: Region;
  #into: Chunk = chunkOf(LEAST_BYTES);

  constructor(form: Form, region: Region) {
    this.#form = form;
    this.#region = region;
  }

  /** Adds a record. Throws CodecError, or MessageTooLargeError, and then has added nothing. */
  add(value: unknown): void {
    let end = this.#form.put(value, this.#into, this.bytes);
    while (end < 0) {
      this.#grow();
      end = this.#form.put(value, this.#into, this.bytes);
    }
    this.bytes = end;
    this.count++;
  }

  /** A view to write the next record into, where there can be one. */
  blank(): unknown {
    return this.#form.blank?.();
  }

  /** Ends that view. */
  over(): void {
    this.#form.over?.();
  }

  /** Whether one more like those that it has would go beyond so many bytes. */
  isFull(most: number): boolean {
    return this.bytes + this.bytes / this.count > most;
  }

  /** The message. Whoever takes it gives it back by `recycle`. */
  take(): Chunk {
    const message = this.#into;
    message.length = this.bytes;
    message.bytes.writeUInt32LE(this.count, COUNT);
    this.#into = chunkOf(message.length); // the next one will have about as much
    this.count = 0;
    this.bytes = HEADER;
    return message;
  }

  #grow(): void {
    const most = this.#region.pieces.roomForMessages;
    const { bytes } = this.#into;
    if (bytes.length > most) throw new MessageTooLargeError(bytes.length, most);
    const more = new Chunk(bytes.length * 2);
    bytes.copy(more.bytes, 0, 0, this.bytes);
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
  readonly #from: Chunk;
  readonly #form: Form;
  readonly #views: boolean;
  #at: number = HEADER;
  #left: number;

  /** @param views whether records are lent as views, where the form can do that */
  constructor(from: Chunk, form: Form, views: boolean) {
    this.#from = from;
    this.#form = form;
    this.#views = views && form.lend !== undefined;
    const { bytes } = from;
    this.sequence = bytes.readDoubleLE(SEQUENCE);
    this.record = bytes.readDoubleLE(FIRST);
    this.ticket = bytes.readUInt32LE(TICKET);
    this.count = this.#left = bytes.readUInt32LE(COUNT);
  }

  /** Whether there is a next record. */
  get more(): boolean {
    return this.#left > 0;
  }

  /** The next record. Throws what its codec throws, and then has gone past it. */
  next(): unknown {
    const at = this.#at;
    const end = this.#form.end(this.#from, at);
    this.#at = end;
    this.#left--;
    this.record++;
    return this.#views ? this.#form.lend?.(this.#from, at) : this.#form.get(this.#from, at, end);
  }

  /** Ends the view of the last one, if it was one. */
  over(): void {
    if (this.#views) this.#form.over?.();
  }

  /** When all of it was read. */
  recycle(): void {
    recycle(this.#from);
  }
}
