/**
 * Outbox: the items of one client that are to go into one queue of its server, in the order of the calls.
 *
 * Credit: of each queue a client may have so many items and bytes on their way, as the server's terms say; what it put
 * comes back as credit when it is in the queue. So a queue that is full holds the client back, and neither side holds more
 * than that of what waits.
 *
 * Send  1. the first call in line packs what its credit allows, at most a piece  2. if that was all of it, the next call may go
 *       3. otherwise the line waits until the server has put it: after an error nothing of that call may follow
 * Each  calls of one item that nothing can cancel gather in one frame, until the turn ends or something else is sent; the
 *       server says how many of them are through, and which of them failed
 */
import type { Codec } from '../queue/codec.ts';
import { Batch } from './batch.ts';
import { CANCELLED, HEAD, PUT, PUT_EACH } from './frame.ts';
import type { Link, Request } from './link.ts';
import { type Parcel, packItems } from './parcel.ts';

const PIECE_ITEMS = 512;
const PIECE_BYTES = 256 * 1024;
const BATCH_BYTES = 32 * 1024;

type Gathered = 'gathered' | 'later' | 'alone';
const GATHERED = 'gathered';
const LATER = 'later'; // when there is credit
const ALONE = 'alone'; // it is too long

class Call<T> {
  readonly values: ArrayLike<T>;
  readonly request: Request;
  /** Whether it may go together with others. */
  readonly gathers: boolean;
  /** How many of them are in the queue. */
  done = 0;
  /** The number of the request that is on its way. */
  sent: number | undefined;
  cancelled = false;

  constructor(values: ArrayLike<T>, request: Request, gathers: boolean) {
    this.values = values;
    this.request = request;
    this.gathers = gathers;
  }
}

/** A part of a call that is on its way. */
class Piece<T> implements Request {
  readonly call: Call<T>;
  readonly items: number;
  readonly bytes: number;
  readonly #end: (piece: Piece<T>, isPut: boolean, error?: unknown) => void;

  constructor(
    call: Call<T>,
    items: number,
    bytes: number,
    end: (piece: Piece<T>, isPut: boolean, error?: unknown) => void,
  ) {
    this.call = call;
    this.items = items;
    this.bytes = bytes;
    this.#end = end;
  }

  read(): void {
    this.#end(this, true);
  }

  fail(error: unknown): void {
    this.#end(this, false, error);
  }
}

const NOTHING = Buffer.alloc(0);

export class Outbox<T> {
  readonly #link: Link;
  readonly #object: number;
  readonly #codec: Codec<T>;
  readonly #line: Call<T>[] = [];
  readonly #batch: Batch<T>;
  readonly #most: number; // bytes of a batch
  #isPacking = false; // a getter of a value may put something itself
  #items = 0; // on their way
  #bytes = 0;

  /** For the queue that the server knows by `object`. */
  constructor(link: Link, object: number, codec: Codec<T>) {
    this.#link = link;
    this.#object = object;
    this.#codec = codec;
    const { windowBytes, frameBytes } = link.terms;
    this.#most = Math.floor(Math.min(BATCH_BYTES, windowBytes, frameBytes - HEAD) / 4) * 4;
    this.#batch = new Batch(codec, this.#most);
    link.onEnd(() => {
      this.#batch.take(() => {}).request.fail(link.ended);
      for (const { request } of this.#line.splice(0)) request.fail(link.ended);
    });
  }

  /** Sends an item, together with those of other such calls. Rejects when it cannot be put. */
  put(value: T): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#link.ended) throw this.#link.ended;
      const gathered = this.#line.length === 0 ? this.#gather(value, resolve, reject) : LATER;
      if (gathered === GATHERED) return this.#send();
      const request = { read: () => resolve(), fail: reject };
      this.#stand([value], request, gathered === LATER);
    });
  }

  /** Sends the values in turn. Rejects as `SocketQueue.putManyAsync`. */
  putMany(values: ArrayLike<T>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.add(values, { read: () => resolve(), fail: reject });
    });
  }

  /** Sends the values in turn. Returns what cancels it. Throws ClosedError. */
  add(values: ArrayLike<T>, request: Request): () => void {
    if (this.#link.ended) throw this.#link.ended;
    const call = this.#stand(values, request, false);
    return () => this.#cancel(call);
  }

  #stand(values: ArrayLike<T>, request: Request, gathers: boolean): Call<T> {
    const call = new Call(values, request, gathers);
    this.#line.push(call);
    this.#send();
    return call;
  }

  #cancel(call: Call<T>): void {
    call.cancelled = true;
    if (call.sent !== undefined) this.#link.cancel(call.sent);
    else this.#fail(call, { code: CANCELLED });
  }

  #fail(call: Call<T>, error: unknown): void {
    const at = this.#line.indexOf(call);
    if (at >= 0) this.#line.splice(at, 1);
    const isError = typeof error === 'object' && error !== null;
    const done = call.done + ((error as { done?: number } | null)?.done ?? 0);
    call.request.fail(isError ? Object.assign(error, { done }) : error);
    this.#send();
  }

  #send(): void {
    if (this.#isPacking) return;
    for (let call = this.#line[0]; call && call.sent === undefined; call = this.#line[0]) {
      const { values, request, gathers } = call;
      const gathered = gathers ? this.#gather(values[0] as T, request.read as () => void, request.fail) : ALONE;
      if (gathered === LATER || (gathered === ALONE && !this.#sendPiece(call))) return;
      if (this.#line[0] === call) this.#line.shift();
    }
  }

  /** Sends what may go of a call; whether that was the rest of it. */
  #sendPiece(call: Call<T>): boolean {
    let parcel: Parcel | undefined;
    try {
      parcel = this.#pack(call);
    } catch (error) {
      this.#fail(call, error);
      return false;
    }
    if (!parcel) return false;
    this.#post(call, parcel);
    return call.done + parcel.items === call.values.length;
  }

  /** What of the call may go now, if anything. */
  #pack({ values, done }: Call<T>): Parcel | undefined {
    const { windowItems, windowBytes, frameBytes } = this.#link.terms;
    const items = Math.min(windowItems - this.#items, PIECE_ITEMS);
    const bytes = windowBytes - this.#bytes;
    if (items <= 0 || bytes <= 0) return undefined;
    const room = { items, bytes: Math.min(bytes, PIECE_BYTES), most: frameBytes - HEAD };
    const parcel = packItems(this.#codec, values, done, room);
    return this.#items > 0 && parcel.body.length > bytes ? undefined : parcel;
  }

  #post(call: Call<T>, { body, items }: Parcel): void {
    const piece = new Piece(call, items, body.length, this.#end);
    this.#lend(items, body.length);
    call.sent = this.#link.send(PUT, { object: this.#object, body }, piece);
  }

  readonly #end = (piece: Piece<T>, isPut: boolean, error?: unknown): void => {
    const { call, items, bytes } = piece;
    call.sent = undefined;
    this.#lend(-items, -bytes);
    if (!isPut) {
      this.#fail(call, error);
      return;
    }
    call.done += items;
    if (call.done === call.values.length) call.request.read(NOTHING, true);
    if (call.done < call.values.length && call.cancelled) this.#fail(call, { code: CANCELLED });
    else this.#send();
  };

  #lend(items: number, bytes: number): void {
    this.#items += items;
    this.#bytes += bytes;
  }

  /** Adds an item to those that go together, if its credit allows. */
  #gather(value: T, resolve: () => void, reject: (reason: unknown) => void): Gathered {
    const { windowItems, windowBytes } = this.#link.terms;
    if (this.#isPacking || this.#items + this.#batch.items >= windowItems) return LATER;
    if (this.#bytes + this.#most > windowBytes) return LATER;
    let fits: boolean;
    this.#isPacking = true;
    try {
      fits = this.#batch.add(value, resolve, reject);
    } catch (error) {
      reject(error);
      return GATHERED;
    } finally {
      this.#isPacking = false;
    }
    if (fits) {
      if (this.#batch.items === 1) this.#link.hold(this.#sendBatch);
      if (this.#batch.isFull) this.#link.release();
      return GATHERED;
    }
    if (this.#batch.items === 0) return ALONE;
    this.#link.release();
    return this.#gather(value, resolve, reject);
  }

  readonly #sendBatch = (): void => {
    const { items } = this.#batch;
    if (items === 0) return; // the link has ended
    const { body, request } = this.#batch.take(() => {
      this.#lend(-items, -bytes);
      this.#send();
    });
    const bytes = body.length;
    this.#lend(items, bytes);
    try {
      this.#link.send(PUT_EACH, { object: this.#object, body }, request);
    } catch (error) {
      request.fail(error);
    }
  };
}
