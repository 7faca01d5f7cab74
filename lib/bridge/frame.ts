/**
 * Frames: what two processes say to each other over a stream of bytes.
 *
 *   4 bytes  how many bytes follow, least significant first, as all numbers here
 *   2 bytes  what it is about, see below
 *   2 bytes  the number of the object, as the answer to its opening said it, or 0
 *   4 bytes  the number of the request, chosen by who asks; the answer carries the same
 *   …        the rest, as the kind of frame says
 *   0 to 3   up to a multiple of 4, so that what lies at such places in a frame does so in memory, too
 *
 * Both sides begin with one that all versions share: the client with HELLO, and the server with WELCOME or REFUSED.
 * A stream may be cut anywhere; what arrived of the last frame then counts for nothing.
 */
import type { Socket } from 'node:net';

/** Raised when a frame of the same bytes would mean something else. */
export const VERSION = 2;

/** How each client begins, and nobody else. */
export const GREETING = 'ringfence';

// From the client. HELLO: the greeting, 2 bytes of version.
export const HELLO = 1;
export const OPEN_QUEUE = 2; // a name; the answer: 4 bytes each of number, capacity, most in hand; the codec: see accord.ts
export const OPEN_MUTEX = 3; // a name; the answer: 4 bytes of number
// The rest is about an object.
export const PUT = 4; // a parcel: see parcel.ts
export const PUT_EACH = 5; // a parcel whose items are put by calls of their own; MORE before the answer: see inbox.ts
export const GET = 6; // 4 bytes: how many at the most; the answer: 4 bytes of tag of the first, a parcel
export const DONE_WITH = 7; // tags, 4 bytes each
export const GIVE_BACK = 8; // tags, 4 bytes each
export const SIZE = 9; // the answer: 4 bytes
export const JOIN = 10;
export const CLOSE = 11;
export const LOCK = 12;
export const UNLOCK = 13;
export const RECOVER = 14; // the answer: 4 bytes, whether the owner had died
export const FORSAKE = 15; // after that: it still counts as dead
export const CANCEL = 16; // the answer to the request of this number is no longer waited for; it comes all the same

// From the server.
export const WELCOME = 32; // 4 bytes of version, then 4 bytes each of what `Terms` says
export const REFUSED = 33; // the reason, in words; the connection ends
export const ANSWER = 34;
export const MORE = 35; // a part of the answer, which is still to come
export const FAILED = 36; // an error: see parcel.ts

/** The code of the error that answers a request after CANCEL, unless it was through before. */
export const CANCELLED = 'ERR_CANCELLED';

/** Bytes of a frame before its rest, and of these the length. */
export const HEAD = 12;
const LENGTH = 4;

/** The frames of the greeting are short. */
const GREETING_BYTES = 1024;

/** What the server tells its clients in WELCOME. */
export interface Terms {
  /** The longest frame that it reads, in bytes. */
  readonly frameBytes: number;
  /** How many items one client may have on their way to one queue, and how many bytes, unless it is one item alone. */
  readonly windowItems: number;
  readonly windowBytes: number;
}

/** The other side does not keep to all this; its connection is closed for that reason. */
export class ProtocolError extends Error {
  override get name(): string {
    return 'ProtocolError';
  }
}

export interface Frame {
  readonly kind: number;
  readonly object: number;
  readonly request: number;
  /** A view of what was received: it is gone after the frame was handled. */
  readonly rest: Buffer;
}

/** The next multiple of 4. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

const NOTHING = Buffer.alloc(0);

const MOST_KEPT = 16 * 1024; // bytes, for the next frame that comes in parts

/** Cuts the frames out of what a stream delivers. Holds the bytes of the frame that is under way, and hardly more. */
export class FrameReader {
  readonly #handle: (frame: Frame) => void;
  #partial = NOTHING; // with room to grow
  #held = 0; // bytes in it
  #wanted = HEAD; // bytes of the frame that is under way, as far as it is known
  /** The longest frame that is accepted. */
  limit: number = GREETING_BYTES;

  constructor(handle: (frame: Frame) => void) {
    this.#handle = handle;
  }

  /** Handles each frame that is now complete. Throws ProtocolError, and what the handler throws. */
  push(chunk: Buffer): void {
    let at = 0;
    while (this.#held > 0 && at < chunk.length) {
      const end = Math.min(chunk.length, at + this.#wanted - this.#held);
      this.#keep(chunk.subarray(at, end));
      at = end;
      if (this.#held === this.#wanted) this.#complete();
    }
    if (at === chunk.length) return;
    const rest = at > 0 ? chunk.subarray(at) : chunk;
    const handled = this.#handleAll(rest);
    if (handled < rest.length) this.#keep(rest.subarray(handled));
  }

  /** What is held is a frame, or its head, which says how much more there is. */
  #complete(): void {
    const bytes = this.#partial.subarray(0, this.#held);
    if (this.#handleAll(bytes) === 0) return;
    if (this.#partial.length > MOST_KEPT) this.#partial = NOTHING;
    this.#held = 0;
  }

  #keep(bytes: Buffer): void {
    const held = this.#held + bytes.length;
    if (held > this.#partial.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(held, Math.min(this.#wanted, 2 * held)));
      this.#partial.copy(grown, 0, 0, this.#held);
      this.#partial = grown;
    }
    bytes.copy(this.#partial, this.#held);
    this.#held = held;
  }

  #handleAll(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      this.#wanted = HEAD;
      if (bytes.length - at < HEAD) return at;
      const length = bytes.readUInt32LE(at);
      if (length < HEAD - LENGTH) throw new ProtocolError(`a frame of ${length} bytes is too short`);
      if (LENGTH + length > this.limit) {
        throw new ProtocolError(`a frame of ${LENGTH + length} bytes is too long: ${this.limit} are allowed`);
      }
      this.#wanted = padded(LENGTH + length);
      if (at + this.#wanted > bytes.length) return at;
      this.#handle({
        kind: bytes.readUInt16LE(at + 4),
        object: bytes.readUInt16LE(at + 6),
        request: bytes.readUInt32LE(at + 8),
        rest: bytes.subarray(at + HEAD, at + LENGTH + length),
      });
      at += this.#wanted;
    }
  }
}

/** Of a frame, what it is about and what follows its head, in this order. */
export interface Rest {
  readonly object?: number;
  readonly word?: number;
  readonly body?: Uint8Array;
}

const FLUSH_BYTES = 64 * 1024;

/** Collects frames, and writes those of one turn of the event loop at once. */
export class FrameWriter {
  readonly #socket: Socket;
  #buffer = Buffer.allocUnsafeSlow(FLUSH_BYTES);
  #at = 0;
  #scheduled = false;
  readonly #last: (() => void)[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** A frame about an object, whose rest is a number of 4 bytes, and bytes, each of them if it is given. */
  frame(kind: number, request: number, { object = 0, word, body }: Rest = {}): void {
    const bytes = HEAD + (word === undefined ? 0 : 4) + (body?.length ?? 0);
    const whole = padded(bytes);
    if (this.#at + whole > this.#buffer.length) this.flush();
    if (whole > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(whole);
    const buffer = this.#buffer;
    let at = buffer.writeUInt32LE(bytes - LENGTH, this.#at);
    at = buffer.writeUInt16LE(kind, at);
    at = buffer.writeUInt16LE(object, at);
    at = buffer.writeUInt32LE(request, at);
    if (word !== undefined) at = buffer.writeUInt32LE(word, at);
    if (body) buffer.set(body, at);
    if (whole > bytes) buffer.fill(0, this.#at + bytes, this.#at + whole);
    this.#at += whole;
    this.#schedule();
  }

  /** Calls `last` before the frames of this turn are written, for what it may add to them. */
  beforeFlush(last: () => void): void {
    this.#last.push(last);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.finish();
    });
  }

  /** Writes all that is there, also what was to be added at the end of this turn. */
  finish(): void {
    for (const last of this.#last.splice(0)) last();
    this.flush();
  }

  flush(): void {
    if (this.#at === 0 || this.#socket.destroyed) return;
    const written = this.#buffer.subarray(0, this.#at);
    this.#at = 0;
    this.#socket.write(written);
    // What the system has taken already is ours again; otherwise the stream still needs these bytes.
    if (this.#socket.writableLength > 0 || this.#buffer.length > FLUSH_BYTES) {
      this.#buffer = Buffer.allocUnsafeSlow(FLUSH_BYTES);
    }
  }
}
