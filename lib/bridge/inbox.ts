/**
 * Inbox: what one client puts into one queue, in the order in which it came.
 *
 * Arrive  1. the whole parcel is looked through: one that is none touches nothing  2. it counts against the client's credit
 *         3. what there is room for goes into the queue at once, bytes straight from where they were received  4. if that was
 *         all, it is answered; otherwise the rest is decoded and stands in line, and what comes later stands behind it
 * Pump    1. one promise waits for room for the first item of the line  2. then what else there is room for goes too  3. from 1
 *
 * Of a parcel whose items are calls of their own the client hears how many are in the queue whenever it must wait; an item that
 * cannot be put, since it is too long, concerns that call alone. Otherwise an error ends the parcel, and says how many were put.
 */
import { CodecError, MessageTooLargeError } from '../memory/errors.ts';
import type { Packed } from '../queue/payload.ts';
import { type Answers, Cancelled } from './answers.ts';
import { MORE, ProtocolError } from './frame.ts';
import { packError, packedOf, unpackItems } from './parcel.ts';
import type { ServedQueue } from './served.ts';

/** What is on its way of one object that the client has opened. */
export interface Credit {
  items: number;
  bytes: number;
}

/** A parcel that is on its way into the queue. */
class Arrival<T> {
  readonly request: number;
  readonly isEach: boolean;
  readonly credit: Credit;
  readonly bytes: number;
  count = 0;
  /** Its items as they were received, until it stands in line. */
  packed: Packed | undefined;
  /** Or as values, from the one with index `from` on. */
  items: readonly T[] = [];
  from = 0;
  /** How many of them are through, */
  done = 0;
  /** and how many the client knows of. */
  told = 0;

  constructor(request: number, isEach: boolean, credit: Credit, bytes: number) {
    this.request = request;
    this.isEach = isEach;
    this.credit = credit;
    this.bytes = bytes;
  }
}

export class Inbox<T> {
  readonly #served: ServedQueue<T>;
  readonly #client: Answers;
  readonly #line: Arrival<T>[] = [];
  #waiting: AbortController | undefined; // of the pump, when there is no room

  constructor(served: ServedQueue<T>, client: Answers) {
    this.#served = served;
    this.#client = client;
  }

  arrive(request: number, rest: Buffer, isEach: boolean, credit: Credit): void {
    const arrival = new Arrival<T>(request, isEach, credit, rest.length);
    this.#receive(arrival, rest);
    this.#count(arrival);
    if (this.#line.length === 0 && this.#putNow(arrival)) return;
    this.#client.begin(request, () => this.#cancel(arrival));
    this.#keep(arrival);
    this.#line.push(arrival);
    if (this.#line.length === 1) void this.#pump();
  }

  #receive(arrival: Arrival<T>, rest: Buffer): void {
    const { codec, takesPacked } = this.#served;
    if (takesPacked) arrival.packed = packedOf(rest);
    else arrival.items = unpackItems(codec, rest, 0);
    arrival.count = arrival.packed?.count ?? arrival.items.length;
  }

  /** What is left of it will be looked at when the bytes that were received are gone. */
  #keep(arrival: Arrival<T>): void {
    const { packed, items, from, done } = arrival;
    arrival.items = packed ? (copiesOf(packed, done) as T[]) : items.slice(done - from);
    arrival.from = done;
    arrival.packed = undefined;
  }

  #count({ count, bytes, credit }: Arrival<T>): void {
    const { windowItems, windowBytes } = this.#client.terms;
    credit.items += count;
    credit.bytes += bytes;
    const isAlone = credit.items === count && count === 1;
    if (credit.items > windowItems || (credit.bytes > windowBytes && !isAlone)) {
      throw new ProtocolError(`a client may have ${windowItems} items and ${windowBytes} bytes on their way`);
    }
  }

  /** Puts what there is room for; whether that was all, or cannot be: then it is answered. */
  #putNow(arrival: Arrival<T>): boolean {
    while (arrival.done < arrival.count) {
      try {
        const sent = this.#putSome(arrival);
        if (sent === 0) return false;
        arrival.done += sent;
      } catch (error) {
        if (!this.#goesOn(arrival, error)) return true;
      }
    }
    this.#end(arrival);
    this.#client.answer(arrival.request);
    return true;
  }

  #putSome({ packed, items, done, from }: Arrival<T>): number {
    const { queue } = this.#served;
    return packed ? queue.puts.putPacked(packed, done) : queue.puts.putSome(items, done - from);
  }

  /** After an error: whether the items behind the one that is refused are still to be put. */
  #goesOn(arrival: Arrival<T>, error: unknown): boolean {
    const isOfItem = error instanceof MessageTooLargeError || error instanceof CodecError;
    if (arrival.isEach && isOfItem) {
      this.#tell(arrival, error);
      arrival.told = ++arrival.done;
      return true;
    }
    this.#tell(arrival);
    this.#end(arrival);
    const isError = typeof error === 'object' && error !== null;
    this.#client.fail(arrival.request, isError ? Object.assign(error, { done: arrival.done }) : error);
    return false;
  }

  /** Tells the client how many of its calls are through, and perhaps how the next one fails. */
  #tell(arrival: Arrival<T>, error?: unknown): void {
    const { request, isEach, done, told } = arrival;
    if (!isEach || this.#client.gone || (done === told && error === undefined)) return;
    const body = error === undefined ? {} : { body: packError(error) };
    this.#client.writer.frame(MORE, request, { word: done - told, ...body });
    arrival.told = done;
  }

  #end({ count, bytes, credit }: Arrival<T>): void {
    credit.items -= count;
    credit.bytes -= bytes;
  }

  async #pump(): Promise<void> {
    for (let arrival = this.#line[0]; arrival; arrival = this.#line[0]) {
      this.#tell(arrival);
      this.#waiting = new AbortController();
      let goesOn = true;
      try {
        await this.#served.queue.putAsync(arrival.items[arrival.done - arrival.from] as T, {
          signal: this.#waiting.signal,
        });
        arrival.done++;
      } catch (error) {
        goesOn = this.#goesOn(arrival, error);
      }
      if (this.#client.gone) return;
      if (!goesOn || this.#putNow(arrival)) this.#line.shift();
    }
  }

  #cancel(arrival: Arrival<T>): void {
    const at = this.#line.indexOf(arrival);
    if (at === 0) this.#waiting?.abort(new Cancelled());
    else if (at > 0) {
      this.#line.splice(at, 1);
      this.#goesOn(arrival, new Cancelled());
    }
  }
}

function copiesOf({ count, bytes, places }: Packed, from: number): Uint8Array[] {
  return Array.from({ length: count - from }, (_, i) =>
    bytes.slice(places[2 * (from + i)], places[2 * (from + i) + 1]),
  );
}
