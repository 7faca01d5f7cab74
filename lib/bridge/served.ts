/**
 * Served: a queue of this process for all clients of other processes, and what becomes of the items that none of them dealt with.
 */
import { InvalidHandleError } from '../memory/errors.ts';
import { type Codec, codec as codecs } from '../queue/codec.ts';
import type { Queue } from '../queue/queue.ts';

/** An item on its way to a client, and until that has acknowledged it; with its block, if its queue redelivers. */
export interface Taken<T> {
  readonly value: T;
  readonly block: number;
}

const MOST_RETURNED = 256; // together

const withoutBlock = <T>(value: T): Taken<T> => ({ value, block: 0 });

/**
 * A queue for all clients. One that redelivers keeps what a client has taken in its blocks, as this thread's, so that it comes back
 * also when this thread ends; of another one the items that came back are here until they are in it again.
 */
export class ServedQueue<T = unknown> {
  readonly queue: Queue<T>;
  readonly codec: Codec<T>;
  /** Whether items may go into the queue as the bytes that they were received as. */
  readonly takesPacked: boolean;
  readonly #back: Taken<T>[] = [];
  #servers = 0;
  #returning: AbortController | undefined;
  #waiting = 0; // clients that wait for an item

  /** The same one for each server of a queue, so that what came back to one is there for the next. */
  static of(queue: Queue): ServedQueue {
    const known = servedQueues.get(queue) ?? new ServedQueue(queue);
    servedQueues.set(queue, known);
    return known;
  }

  private constructor(queue: Queue<T>) {
    this.queue = queue;
    this.codec = queue.codec;
    this.takesPacked = (queue.codec as unknown) === codecs.bytes;
  }

  /** Up to `max` items that are there now; `undefined` when there is none, or somebody waits already. Throws ClosedError. */
  takeNow(max: number): Taken<T>[] | undefined {
    if (this.#back.length > 0) return this.#back.splice(0, max);
    if (this.#waiting > 0) return undefined;
    if (this.queue.redelivers) return this.queue.gets.holdNow(max);
    try {
      return this.queue.gets.takeNow(max)?.map(withoutBlock);
    } catch (error) {
      const { items = [] } = error as { items?: T[] }; // what was taken before an item that cannot be read
      if (items.length === 0) throw error;
      return items.map(withoutBlock);
    }
  }

  async take(max: number, signal: AbortSignal): Promise<Taken<T>[]> {
    this.#waiting++;
    try {
      if (this.queue.redelivers) return await this.queue.gets.holdAsync(max, { signal });
      return (await this.queue.getManyAsync(max, { signal })).map(withoutBlock);
    } catch (error) {
      const { items = [] } = error as { items?: T[] };
      if (!this.queue.redelivers) this.giveBack(items.map(withoutBlock));
      throw error;
    } finally {
      this.#waiting--;
    }
  }

  /** A client has dealt with them. */
  done(taken: readonly Taken<T>[]): void {
    if (this.queue.redelivers) this.queue.gets.acknowledge(taken);
    else if (taken.length > 0) this.queue.taskDone(taken.length);
  }

  /**
   * Takes back items that nobody dealt with. Of a queue that redelivers they are the next ones that anybody takes. Otherwise they go
   * to the end of the queue, for whoever takes them, be it a thread here; until there is room, or for ever if the queue is closed,
   * the next client that asks gets them first.
   */
  giveBack(taken: readonly Taken<T>[]): void {
    if (this.queue.redelivers) this.#redeliver(taken);
    else this.#back.push(...taken);
    if (this.#back.length > 0 && this.#servers > 0 && !this.#returning) void this.#return();
  }

  #redeliver(taken: readonly Taken<T>[]): void {
    try {
      this.queue.gets.giveBack(taken);
    } catch (error) {
      if (!(error instanceof InvalidHandleError)) throw error;
    }
  }

  /** A server begins to serve it. */
  begin(): void {
    this.#servers++;
    this.giveBack([]);
  }

  /** A server ends. Without one nobody waits for room, which would keep the process alive. */
  end(): void {
    this.#servers--;
    if (this.#servers === 0) this.#returning?.abort();
  }

  async #return(): Promise<void> {
    this.#returning = new AbortController();
    const { signal } = this.#returning;
    try {
      while (this.#returnSome()) await this.#returnOne(signal);
    } catch (error) {
      if (error instanceof InvalidHandleError) this.#back.length = 0;
    }
    this.#returning = undefined;
  }

  /** Puts what there is room for at once; whether some are left. */
  #returnSome(): boolean {
    for (let sent = 1; sent > 0 && this.#back.length > 0; ) {
      const values = this.#back.slice(0, MOST_RETURNED).map(({ value }) => value);
      sent = this.queue.puts.putSome(values, 0);
      this.#back.splice(0, sent);
      if (sent > 0) this.queue.taskDone(sent); // they were put once more than they are to be done
    }
    return this.#back.length > 0;
  }

  async #returnOne(signal: AbortSignal): Promise<void> {
    const item = this.#back.shift() as Taken<T>;
    try {
      await this.queue.putAsync(item.value, { signal });
      this.queue.taskDone();
    } catch (error) {
      this.#back.unshift(item);
      throw error;
    }
  }
}

const servedQueues = new WeakMap<Queue, ServedQueue>();
