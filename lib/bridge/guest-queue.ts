/**
 * Guest queue: a queue as one client uses it.
 */
import { ClosedError } from '../memory/errors.ts';
import type { Answers } from './answers.ts';
import { ANSWER, HEAD, MORE, ProtocolError } from './frame.ts';
import type { Credit, Inbox } from './inbox.ts';
import { packItems } from './parcel.ts';
import type { ServedQueue, Taken } from './served.ts';

const TAG = 4; // bytes
const PIECE_BYTES = 256 * 1024; // of an answer with many items

/** A queue as one client uses it. */
export class GuestQueue<T = unknown> {
  readonly served: ServedQueue<T>;
  readonly #inbox: Inbox<T>;
  readonly #credit: Credit = { items: 0, bytes: 0 };
  readonly #client: Answers;
  /** How many items the client may have without an acknowledgement. */
  readonly limit: number;
  readonly #inHand = new Map<number, Taken<T>>();
  #tag: number;

  constructor(served: ServedQueue<T>, inbox: Inbox<T>, client: Answers, limit: number, firstTag: number) {
    this.served = served;
    this.#inbox = inbox;
    this.#client = client;
    this.limit = limit;
    this.#tag = firstTag;
  }

  put(request: number, rest: Buffer, isEach: boolean): void {
    this.#inbox.arrive(request, rest, isEach, this.#credit);
  }

  get(request: number, max: number): void {
    const left = this.limit - this.#inHand.size;
    if (left <= 0) {
      const error = new RangeError(
        `${this.served.queue.title}: ${this.limit} items were taken and not acknowledged: see taskDone`,
      );
      this.#client.fail(request, error);
      return;
    }
    const most = Math.max(1, Math.min(max, left));
    const items = this.served.takeNow(most);
    if (items) {
      this.#send(request, items);
      return;
    }
    const { queue } = this.served;
    if (queue.redelivers && this.#inHand.size > 0 && queue.closed) {
      // what others hold may come back, and they might wait for what this client holds
      this.#client.fail(request, new ClosedError(queue.title));
      return;
    }
    const take = (signal: AbortSignal) => this.served.take(most, signal).then((late) => this.#unlessGone(late));
    this.#client.wait(request, take, (late) => this.#send(request, late));
  }

  #unlessGone(items: Taken<T>[]): Taken<T>[] {
    if (this.#client.gone) this.served.giveBack(items.splice(0));
    return items;
  }

  /** Hands over the items; what cannot be sent goes back, with all that came after it. */
  #send(request: number, items: readonly Taken<T>[]): void {
    const { writer, terms } = this.#client;
    const values = items.map(({ value }) => value);
    const room = { items: items.length, bytes: PIECE_BYTES, most: terms.frameBytes - HEAD - TAG };
    for (let from = 0; from < items.length; ) {
      const { codec } = this.served;
      let parcel: { body: Buffer; items: number };
      try {
        parcel = packItems(codec, values, from, room);
      } catch (error) {
        this.served.giveBack(items.slice(from));
        if (from === 0) this.#client.fail(request, error);
        else this.#client.answer(request, { word: this.#tag, body: packItems(codec, [], 0, room).body });
        return;
      }
      const word = this.#tag;
      for (let i = 0; i < parcel.items; i++) {
        this.#inHand.set(this.#tag, items[from + i] as Taken<T>);
        this.#tag = (this.#tag + 1) >>> 0;
      }
      from += parcel.items;
      writer.frame(from < items.length ? MORE : ANSWER, request, { word, body: parcel.body });
    }
  }

  doneWith(request: number, rest: Buffer): void {
    this.served.done(this.#release(rest));
    this.#client.answer(request);
  }

  takeBack(request: number, rest: Buffer): void {
    this.served.giveBack(this.#release(rest));
    this.#client.answer(request);
  }

  /** The items of the tags in the rest of a frame, which the client has no longer. */
  #release(rest: Buffer): Taken<T>[] {
    const items: Taken<T>[] = [];
    for (let at = 0; at < rest.length; at += TAG) {
      const tag = rest.readUInt32LE(at);
      if (!this.#inHand.has(tag)) throw new ProtocolError(`the client has no item with tag ${tag}`);
      items.push(this.#inHand.get(tag) as Taken<T>);
      this.#inHand.delete(tag);
    }
    return items;
  }

  /** The client is gone. */
  leave(): void {
    this.served.giveBack([...this.#inHand.values()]);
    this.#inHand.clear();
  }
}
