/**
 * Outbox: the items of one client that are to go into one queue of its server, in the order of the calls.
 *
 * Credit: of each queue a client may have so many items and bytes on their way, as the server's terms say; what it put
 * comes back as credit when it is in the queue. So a queue that is full holds the client back, and neither side holds more
 * than that of what waits.
 *
 * Send  1. the first call in line packs what its credit allows, at most a piece  2. if that was all of it, the next call may go
 *       3. otherwise the line waits until the server has put it: after an error nothing of that call may follow
 */
import type { Codec } from '../queue/codec.ts';
import { CANCELLED, HEAD, PUT } from './frame.ts';
import type { Link, Request } from './link.ts';
import { type Parcel, packItems } from './parcel.ts';

const PIECE_ITEMS = 512;
const PIECE_BYTES = 256 * 1024;

interface Call<T> {
  readonly values: ArrayLike<T>;
  readonly request: Request;
  /** How many of them are in the queue. */
  done: number;
  /** The number of the request that is on its way. */
  sent: number | undefined;
  cancelled: boolean;
}

const NOTHING = Buffer.alloc(0);

export class Outbox<T> {
  readonly #link: Link;
  readonly #number: number;
  readonly #codec: Codec<T>;
  readonly #line: Call<T>[] = [];
  #items = 0; // on their way
  #bytes = 0;

  /** For the queue that the server knows by `number`. */
  constructor(link: Link, number: number, codec: Codec<T>) {
    this.#link = link;
    this.#number = number;
    this.#codec = codec;
    link.onEnd(() => {
      for (const { request } of this.#line.splice(0)) request.fail(link.ended);
    });
  }

  /** Sends the values in turn. Returns what cancels it. */
  add(values: ArrayLike<T>, request: Request): () => void {
    if (this.#link.ended) throw this.#link.ended;
    const call = { values, request, done: 0, sent: undefined, cancelled: false };
    this.#line.push(call);
    this.#send();
    return () => this.#cancel(call);
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
    for (let call = this.#line[0]; call && call.sent === undefined; call = this.#line[0]) {
      let parcel: Parcel | undefined;
      try {
        parcel = this.#pack(call);
      } catch (error) {
        this.#fail(call, error);
        return;
      }
      if (!parcel) return;
      this.#post(call, parcel);
      if (call.done + parcel.items < call.values.length) return;
      this.#line.shift();
    }
  }

  /** What of the call may go now, if anything. */
  #pack({ values, done }: Call<T>): Parcel | undefined {
    const { windowItems, windowBytes, frameBytes } = this.#link.terms;
    const items = Math.min(windowItems - this.#items, PIECE_ITEMS);
    const bytes = windowBytes - this.#bytes - 2;
    if (items <= 0 || bytes <= 0) return undefined;
    const room = { items, bytes: Math.min(bytes, PIECE_BYTES), most: frameBytes - HEAD - 2 };
    const parcel = packItems(this.#codec, values, done, room);
    return this.#items > 0 && parcel.body.length > bytes ? undefined : parcel;
  }

  #post(call: Call<T>, { body, items }: Parcel): void {
    const bytes = body.length + 2;
    this.#items += items;
    this.#bytes += bytes;
    const back = () => {
      call.sent = undefined;
      this.#items -= items;
      this.#bytes -= bytes;
    };
    call.sent = this.#link.send(
      PUT,
      { number: this.#number, body },
      {
        read: () => {
          back();
          call.done += items;
          if (call.done === call.values.length) call.request.read(NOTHING, true);
          if (call.done < call.values.length && call.cancelled) this.#fail(call, { code: CANCELLED });
          else this.#send();
        },
        fail: (error) => {
          back();
          this.#fail(call, error);
        },
      },
    );
  }
}
