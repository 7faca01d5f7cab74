/**
 * Frames: what two processes say to each other over a stream of bytes.
 *
 *   4 bytes  how many bytes follow, least significant first, as all numbers here
 *   1 byte   what it is about, see below
 *   4 bytes  the number of the request, chosen by who asks; the answer carries the same
 *   …        the rest, as the kind of frame says
 *
 * Both sides begin with one that all versions share: the client with HELLO, and the server with WELCOME or REFUSED.
 * A stream may be cut anywhere; what arrived of the last frame then counts for nothing.
 */
import type { Socket } from 'node:net';

/** Raised when a frame of the same bytes would mean something else. */
export const VERSION = 1;

/** How each client begins, and nobody else. */
export const GREETING = 'ringfence';

// From the client. HELLO: the greeting, 2 bytes of version.
export const HELLO = 1;
export const OPEN_QUEUE = 2; // a name; the answer: 2 bytes of number, 4 of capacity, the name of the codec
export const OPEN_MUTEX = 3; // a name; the answer: 2 bytes of number
// The rest begins with these 2 bytes of number.
export const PUT = 4; // a parcel: see parcel.ts
export const GET = 5; // 4 bytes: how many at the most; the answer: 4 bytes of tag of the first, a parcel
export const DONE_WITH = 6; // tags, 4 bytes each
export const GIVE_BACK = 7; // tags, 4 bytes each
export const SIZE = 8; // the answer: 4 bytes
export const JOIN = 9;
export const CLOSE = 10;
export const LOCK = 11;
export const UNLOCK = 12;
export const RECOVER = 13; // the answer: 1 byte, whether the owner had died
export const FORSAKE = 14; // after that: it still counts as dead
export const CANCEL = 15; // the answer to the request of this number is no longer waited for; it comes all the same

// From the server.
export const WELCOME = 32; // 2 bytes of version, then 4 bytes each of what `Terms` says
export const REFUSED = 33; // the reason, in words; the connection ends
export const ANSWER = 34;
export const MORE = 35; // as the answer to GET, which is still to come
export const FAILED = 36; // an error: see parcel.ts

/** The code of the error that answers a request after CANCEL, unless it was through before. */
export const CANCELLED = 'ERR_CANCELLED';

/** Bytes of a frame before its rest, and of these the length. */
export const HEAD = 9;
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
  readonly request: number;
  /** A view of what was received: it is gone after the frame was handled. */
  readonly rest: Buffer;
}

/** Cuts the frames out of what a stream delivers. Never holds more than one frame and one chunk. */
export class FrameReader {
  readonly #handle: (frame: Frame) => void;
  #chunks: Buffer[] = [];
  #held = 0; // bytes in them
  #wanted = HEAD; // bytes of the frame that is under way, as far as it is known
  /** The longest frame that is accepted. */
  limit: number = GREETING_BYTES;

  constructor(handle: (frame: Frame) => void) {
    this.#handle = handle;
  }

  /** Handles each frame that is now complete. Throws ProtocolError, and what the handler throws. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#wanted) return;
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    const rest = bytes.subarray(this.#handleAll(bytes));
    // A copy: a few bytes must not keep the whole chunk.
    this.#chunks = rest.length > 0 ? [Buffer.from(rest)] : [];
    this.#held = rest.length;
  }

  #handleAll(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      this.#wanted = HEAD;
      if (bytes.length - at < HEAD) return at;
      const length = bytes.readUInt32LE(at);
      if (length < HEAD - LENGTH) throw new ProtocolError(`a frame of ${length} bytes is too short`);
      const end = at + LENGTH + length;
      if (end - at > this.limit) {
        throw new ProtocolError(`a frame of ${end - at} bytes is too long: ${this.limit} are allowed`);
      }
      this.#wanted = end - at;
      if (end > bytes.length) return at;
      this.#handle({
        kind: bytes[at + LENGTH] as number,
        request: bytes.readUInt32LE(at + LENGTH + 1),
        rest: bytes.subarray(at + HEAD, end),
      });
      at = end;
    }
  }
}

/** What follows the head of a frame, in this order. */
export interface Rest {
  readonly number?: number;
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

  /** A frame whose rest is a number of 2 bytes, one of 4, and bytes, each of them if it is given. */
  frame(kind: number, request: number, { number, word, body }: Rest = {}): void {
    const bytes = HEAD + (number === undefined ? 0 : 2) + (word === undefined ? 0 : 4) + (body?.length ?? 0);
    if (this.#at + bytes > this.#buffer.length) this.flush();
    if (bytes > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(bytes);
    const buffer = this.#buffer;
    let at = buffer.writeUInt32LE(bytes - LENGTH, this.#at);
    at = buffer.writeUInt8(kind, at);
    at = buffer.writeUInt32LE(request, at);
    if (number !== undefined) at = buffer.writeUInt16LE(number, at);
    if (word !== undefined) at = buffer.writeUInt32LE(word, at);
    if (body) buffer.set(body, at);
    this.#at += bytes;
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
