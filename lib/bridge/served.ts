/**
 * Served: a queue and a mutex of this process as one client of another process uses them, and what becomes of its items and
 * locks when it is gone.
 */
import { InvalidHandleError, NotOwnerError, OwnerDiedError } from '../memory/errors.ts';
import { OVER, type Selectable } from '../memory/selectable.ts';
import { AGAIN } from '../memory/wait.ts';
import type { Codec } from '../queue/codec.ts';
import type { Queue } from '../queue/queue.ts';
import type { Mutex } from '../sync/mutex.ts';
import { ANSWER, FAILED, type FrameWriter, HEAD, MORE, ProtocolError, type Terms } from './frame.ts';
import { packError, packItems, unpackItems } from './parcel.ts';

/** A queue for all clients, with the items that came back from some of them. */
export class ServedQueue<T = unknown> {
  readonly queue: Queue<T>;
  readonly codec: Codec<T>;
  readonly #source: Selectable<T>;
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
    this.#source = queue.selectable();
  }

  /** Up to `max` items that are there now; `undefined` when there is none, or somebody waits already. Throws ClosedError. */
  takeNow(max: number): T[] | undefined {
    if (this.#back.length > 0) return this.#back.splice(0, max);
    if (this.#waiting > 0) return undefined;
    const items: T[] = [];
    try {
      while (items.length < max) {
        const item = this.#source.take();
        if (item === AGAIN || item === OVER) break;
        items.push(item);
      }
    } catch (error) {
      if (items.length === 0) throw error;
    }
    return items.length > 0 ? items : undefined;
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

/** Of one client: answers it, unless it is gone. */
export interface Answers {
  readonly writer: FrameWriter;
  readonly terms: Terms;
  /** Aborts when the client cancels the request, or is gone. */
  signalFor(request: number): AbortSignal;
  /** Awaits what the client waits for, and then answers with what `answer` does; or with the error. */
  settle<R>(request: number, promise: Promise<R>, answer: (result: R) => void): void;
  readonly gone: boolean;
}

const PIECE_BYTES = 256 * 1024; // of an answer with many items

/** A queue as one client uses it. */
export class GuestQueue<T = unknown> {
  readonly served: ServedQueue<T>;
  readonly #client: Answers;
  readonly #limit: number;
  readonly #inHand = new Map<number, T>();
  #tag: number;
  #items = 0; // on their way into the queue
  #bytes = 0;

  constructor(served: ServedQueue<T>, client: Answers, limit: number, firstTag: number) {
    this.served = served;
    this.#client = client;
    this.#limit = limit;
    this.#tag = firstTag;
  }

  put(request: number, rest: Buffer): void {
    const items = unpackItems(this.served.codec, rest, 2);
    const { windowItems, windowBytes } = this.#client.terms;
    this.#items += items.length;
    this.#bytes += rest.length;
    const isAlone = this.#items === items.length && items.length === 1;
    if (this.#items > windowItems || (this.#bytes > windowBytes && !isAlone)) {
      throw new ProtocolError(`a client may have ${windowItems} items and ${windowBytes} bytes on their way`);
    }
    const { queue } = this.served;
    const { writer } = this.#client;
    const done = () => {
      this.#items -= items.length;
      this.#bytes -= rest.length;
    };
    if (items.length === 1 && this.#putsNow(items[0] as T, done)) {
      writer.frame(ANSWER, request);
      return;
    }
    const put = queue.putManyAsync(items, { signal: this.#client.signalFor(request) }).finally(done);
    this.#client.settle(request, put, () => writer.frame(ANSWER, request));
  }

  /** Whether the item could be put at once; then, and when it cannot be put at all, that is `done`. */
  #putsNow(item: T, done: () => void): boolean {
    let waits = false;
    try {
      waits = !this.served.queue.tryPut(item);
      return !waits;
    } finally {
      if (!waits) done();
    }
  }

  get(request: number, max: number): void {
    const left = this.#limit - this.#inHand.size;
    if (left <= 0) {
      const error = new RangeError(
        `${this.served.queue.title}: ${this.#limit} items were taken and not acknowledged: see taskDone`,
      );
      this.#client.writer.frame(FAILED, request, { body: packError(error) });
      return;
    }
    const most = Math.max(1, Math.min(max, left));
    const items = this.served.takeNow(most);
    if (items) this.#send(request, items);
    else {
      const taken = this.served.take(most, this.#client.signalFor(request));
      this.#client.settle(
        request,
        taken.then((late) => this.#unlessGone(late)),
        (late) => this.#send(request, late),
      );
    }
  }

  #unlessGone(items: T[]): T[] {
    if (this.#client.gone) this.served.giveBack(items.splice(0));
    return items;
  }

  /** Hands over the items; what cannot be sent goes back, with all that came after it. */
  #send(request: number, items: readonly T[]): void {
    const { writer, terms } = this.#client;
    const room = { items: items.length, bytes: PIECE_BYTES, most: terms.frameBytes - HEAD - 4 };
    for (let from = 0; from < items.length; ) {
      const { codec } = this.served;
      let parcel: { body: Buffer; items: number };
      try {
        parcel = packItems(codec, items, from, room);
      } catch (error) {
        this.served.giveBack(items.slice(from));
        if (from === 0) writer.frame(FAILED, request, { body: packError(error) });
        else writer.frame(ANSWER, request, { word: this.#tag, body: packItems(codec, [], 0, room).body });
        return;
      }
      const word = this.#tag;
      for (let i = 0; i < parcel.items; i++) {
        this.#inHand.set(this.#tag, items[from + i] as T);
        this.#tag = (this.#tag + 1) >>> 0;
      }
      from += parcel.items;
      writer.frame(from < items.length ? MORE : ANSWER, request, { word, body: parcel.body });
    }
  }

  doneWith(request: number, rest: Buffer): void {
    const count = this.#release(rest).length;
    if (count > 0) this.served.queue.taskDone(count);
    this.#client.writer.frame(ANSWER, request);
  }

  takeBack(request: number, rest: Buffer): void {
    this.served.giveBack(this.#release(rest));
    this.#client.writer.frame(ANSWER, request);
  }

  /** The items of the tags in the rest of a frame, which the client has no longer. */
  #release(rest: Buffer): T[] {
    const items: T[] = [];
    for (let at = 2; at < rest.length; at += 4) {
      const tag = rest.readUInt32LE(at);
      if (!this.#inHand.has(tag)) throw new ProtocolError(`the client has no item with tag ${tag}`);
      items.push(this.#inHand.get(tag) as T);
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

/** A mutex as one client uses it. For the region its owner is the thread that serves. */
export class GuestMutex {
  readonly #mutex: Mutex;
  readonly #client: Answers;
  #held = false;

  constructor(mutex: Mutex, client: Answers) {
    this.#mutex = mutex;
    this.#client = client;
  }

  lock(request: number): void {
    const signal = this.#client.signalFor(request);
    const locked = this.#mutex.lockAsync({ signal }).then(() => this.#keep(false));
    this.#client.settle(request, locked, () => this.#client.writer.frame(ANSWER, request));
  }

  /** As `lock`; takes the lock also from an owner that has died, and says so. */
  recover(request: number): void {
    const recovered = this.#lockOrRecover(this.#client.signalFor(request)).then((died) => this.#keep(died));
    this.#client.settle(request, recovered, (died) =>
      this.#client.writer.frame(ANSWER, request, { number: Number(died) }),
    );
  }

  async #lockOrRecover(signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (this.#mutex.tryRecover()) return true;
      try {
        await this.#mutex.lockAsync({ signal });
        return false;
      } catch (error) {
        if (!(error instanceof OwnerDiedError)) throw error;
      }
    }
  }

  /** The lock is the client's; if it is gone it never knew, and the lock is as it was. */
  #keep(died: boolean): boolean {
    if (!this.#client.gone) this.#held = true;
    else if (died) this.#mutex.forsake();
    else this.#mutex.unlock();
    return died;
  }

  unlock(request: number): void {
    this.#end(request, () => this.#mutex.unlock());
  }

  forsake(request: number): void {
    this.#end(request, () => this.#mutex.forsake());
  }

  #end(request: number, end: () => void): void {
    const { writer } = this.#client;
    try {
      if (!this.#held) throw new NotOwnerError(`this client cannot unlock ${this.#mutex.title}: it does not hold it`);
      this.#held = false;
      end();
      writer.frame(ANSWER, request);
    } catch (error) {
      writer.frame(FAILED, request, { body: packError(error) });
    }
  }

  /** The client is gone: what the lock guards may be half changed. */
  leave(): void {
    if (!this.#held) return;
    this.#held = false;
    try {
      this.#mutex.forsake();
    } catch (error) {
      if (!(error instanceof InvalidHandleError)) throw error;
    }
  }
}
