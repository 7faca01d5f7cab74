/**
 * Served: a queue of this process for all clients of other processes, and what becomes of the items that none of them dealt with.
 */
import { InvalidHandleError } from '../memory/errors.ts';
import { type Codec, codec as codecs } from '../queue/codec.ts';
import type { Queue } from '../queue/queue.ts';

/** A queue for all clients, with the items that came back from some of them. */
export class ServedQueue<T = unknown> {
  readonly queue: Queue<T>;
  readonly codec: Codec<T>;
  /** Whether items may go into the queue as the bytes that they were received as. */
  readonly takesPacked: boolean;
  readonly #back: T[] = [];
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
  takeNow(max: number): T[] | undefined {
    if (this.#back.length > 0) return this.#back.splice(0, max);
    if (this.#waiting > 0) return undefined;
    try {
      return this.queue.takeSome(max);
    } catch (error) {
      const { items = [] } = error as { items?: T[] }; // what was taken before an item that cannot be read
      if (items.length === 0) throw error;
      return items;
    }
  }

  async take(max: number, signal: AbortSignal): Promise<T[]> {
    this.#waiting++;
    try {
      return await this.queue.getManyAsync(max, { signal });
    } catch (error) {
      this.giveBack((error as { items?: T[] }).items ?? []); // what was taken before an item that cannot be read
      throw error;
    } finally {
      this.#waiting--;
    }
  }

  /**
   * Takes back items that nobody dealt with. They go to the end of the queue, for whoever takes them, be it a thread here;
   * until there is room, or for ever if the queue is closed, the next client that asks gets them first.
   */
  giveBack(items: readonly T[]): void {
    this.#back.push(...items);
    if (this.#servers > 0 && !this.#returning) void this.#return();
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
    while (this.#back.length > 0) {
      const item = this.#back.shift() as T;
      try {
        await this.queue.putAsync(item, { signal });
        this.queue.taskDone(); // it was put once more than it is to be done
      } catch (error) {
        if (!(error instanceof InvalidHandleError)) this.#back.unshift(item);
        break;
      }
    }
    this.#returning = undefined;
  }
}

const servedQueues = new WeakMap<Queue, ServedQueue>();
