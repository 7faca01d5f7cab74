/**
 * Forms: how the records of a message lie in its bytes, and what a record costs there.
 *
 * Numbers and structs take as many bytes as each other one of them, so nothing stands between them. All other records have
 * their length before them. A struct is read and written through one view of this thread, whose bytes are copied as words.
 */
import type { Region } from '../memory/region.ts';
import type { Codec } from '../queue/codec.ts';
import { copyWords } from '../queue/copy.ts';
import { codecKnownAs, type Known } from '../queue/known.ts';
import { Struct, StructView } from '../queue/struct.ts';

const LENGTH = 4;

/** Memory of this thread for one message. */
export class Chunk {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  /** Bytes that the message has. */
  length = 0;

  constructor(bytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(bytes);
    this.words = new Int32Array(this.bytes.buffer, this.bytes.byteOffset, bytes >> 2);
  }
}

/** How records lie in messages, for one thread. */
export interface Form {
  /**
   * Writes a record at byte `at`, and returns the position behind it, or -1 when there is not enough room. Throws CodecError.
   */
  put(value: unknown, into: Chunk, at: number): number;
  /** Where the record at byte `at` ends. */
  end(from: Chunk, at: number): number;
  /** That record. */
  get(from: Chunk, at: number, end: number): unknown;
  /** That record as a view, which is good until the next one is lent or it is over. */
  lend?(from: Chunk, at: number): StructView;
  /** Ends the view that was lent. */
  over?(): void;
  /** A view to write a record into that is then put; all of it is zero. */
  blank?(): StructView;
}

/** The form of a line. Throws CodecError when this thread does not know its codec. */
export function formOf({ codec, groups }: { codec: Known; groups: number }, region: Region): Form {
  const known = codecKnownAs<unknown>(codec);
  let form = formOfEach(known.bind?.(region) ?? known);
  for (let depth = 0; depth < groups; depth++) form = new Groups(form);
  return form;
}

function formOfEach(codec: Codec<unknown>): Form {
  if (codec instanceof Struct) return new Structs(codec);
  return codec.inline ? new Numbers(codec) : new Prefixed(codec);
}

/** Records that take as many bytes as they need. */
class Prefixed implements Form {
  readonly #codec: Codec<unknown>;

  constructor(codec: Codec<unknown>) {
    this.#codec = codec;
  }

  put(value: unknown, { bytes }: Chunk, at: number): number {
    const end = this.#codec.encode(ownOf(value), bytes, at + LENGTH, bytes.length);
    if (end >= 0) bytes.writeUInt32LE(end - at - LENGTH, at);
    return end;
  }

  end({ bytes }: Chunk, at: number): number {
    return at + LENGTH + bytes.readUInt32LE(at);
  }

  get({ bytes }: Chunk, at: number, end: number): unknown {
    return this.#codec.decode(bytes, at + LENGTH, end);
  }
}

class Numbers implements Form {
  readonly #codec: Codec<unknown>;
  readonly #bytes: number;

  constructor(codec: Codec<unknown>) {
    this.#codec = codec;
    this.#bytes = codec.inline?.endsWith('32') ? 4 : 8;
  }

  put(value: unknown, { bytes }: Chunk, at: number): number {
    return this.#codec.encode(value, bytes, at, bytes.length);
  }

  end(_: Chunk, at: number): number {
    return at + this.#bytes;
  }

  get({ bytes }: Chunk, at: number, end: number): unknown {
    return this.#codec.decode(bytes, at, end);
  }
}

class Structs implements Form {
  readonly #struct: Struct<unknown>;
  readonly #bytes: number;
  readonly #lent: Scratch;
  #spare: Scratch | undefined; // a getter of a record may put another one

  constructor(struct: Struct<unknown>) {
    this.#struct = struct;
    this.#bytes = struct.bytes;
    this.#lent = new Scratch(struct);
  }

  put(value: unknown, { bytes, words }: Chunk, at: number): number {
    if (at + this.#bytes > bytes.length) return -1;
    if (value === this.#lent.view) {
      copyWords(this.#lent.words, 0, words, at >> 2, this.#bytes >> 2); // it was written into what `blank` gave
      return at + this.#bytes;
    }
    const scratch = this.#take();
    this.#struct.write(scratch.view, value);
    copyWords(scratch.words, 0, words, at >> 2, this.#bytes >> 2);
    this.#spare = scratch;
    return at + this.#bytes;
  }

  end(_: Chunk, at: number): number {
    return at + this.#bytes;
  }

  get({ words }: Chunk, at: number): unknown {
    const scratch = this.#take();
    copyWords(words, at >> 2, scratch.words, 0, this.#bytes >> 2);
    this.#spare = scratch;
    return this.#struct.toObject(scratch.view);
  }

  lend({ words }: Chunk, at: number): StructView {
    copyWords(words, at >> 2, this.#lent.words, 0, this.#bytes >> 2);
    StructView.open(this.#lent.view);
    return this.#lent.view;
  }

  over(): void {
    StructView.close(this.#lent.view);
  }

  blank(): StructView {
    this.#lent.words.fill(0);
    StructView.open(this.#lent.view);
    return this.#lent.view;
  }

  #take(): Scratch {
    const scratch = this.#spare ?? new Scratch(this.#struct);
    this.#spare = undefined;
    return scratch;
  }
}

/** What a view shows, as an object of its own; all else as it is. */
export function ownOf(record: unknown): unknown {
  return record instanceof StructView ? StructView.structOf(record)?.toObject(record) : record;
}

/** Memory of this thread for one struct. */
class Scratch {
  readonly words: Int32Array;
  readonly view: StructView;

  constructor(struct: Struct<unknown>) {
    const buffer = new ArrayBuffer(struct.bytes);
    this.words = new Int32Array(buffer);
    this.view = struct.view(buffer, 0);
  }
}

const GROUP = 8; // bytes of its length and its count

/** Records that are arrays of records, as `batch` makes them; each begins at a multiple of 8. */
class Groups implements Form {
  readonly #each: Form;

  constructor(each: Form) {
    this.#each = each;
  }

  put(value: unknown, into: Chunk, at: number): number {
    const records = value as readonly unknown[];
    if (at + GROUP > into.bytes.length) return -1;
    let end = at + GROUP;
    for (const record of records) {
      end = this.#each.put(record, into, end);
      if (end < 0) return -1;
    }
    end = Math.ceil(end / GROUP) * GROUP;
    into.bytes.writeUInt32LE(records.length, into.bytes.writeUInt32LE(end - at, at));
    return end;
  }

  end({ bytes }: Chunk, at: number): number {
    return at + bytes.readUInt32LE(at);
  }

  get(from: Chunk, at: number): unknown[] {
    const records: unknown[] = new Array(from.bytes.readUInt32LE(at + 4));
    let start = at + GROUP;
    for (let i = 0; i < records.length; i++) {
      const end = this.#each.end(from, start);
      records[i] = this.#each.get(from, start, end);
      start = end;
    }
    return records;
  }
}
