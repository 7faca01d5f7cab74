import { ClosedError, CodecError, requireInteger, show } from '../memory/errors.ts';
import type { AsyncWaitOptions } from '../memory/wait.ts';
import type { Codec } from '../queue/codec.ts';
import { agree } from './accord.ts';
import { type Connector, Session } from './connector.ts';
import type { RemoteQueue, Task } from './faces.ts';
import { CLOSE, DONE_WITH, GET, GIVE_BACK, JOIN, OPEN_QUEUE, ProtocolError, SIZE } from './frame.ts';
import type { Link } from './link.ts';
import { Outbox } from './outbox.ts';
import { placesOf, unpackItem } from './parcel.ts';

/** A queue as one connection knows it. */
interface Opened<T> {
  readonly link: Link;
  readonly object: number;
  readonly capacity: number;
  readonly mostInHand: number;
  readonly codec: Codec<T>;
  readonly outbox: Outbox<T>;
  /** Tags of what `getAsync` took, in order, for `taskDone`. */
  readonly inHand: Set<number>;
  /** Tags to be acknowledged at the end of this turn, and the promise of the answer. */
  tags: number[];
  acknowledged: Promise<void> | undefined;
}

/**
 * A queue of another process: see `connect`. What was taken and is not acknowledged by `taskDone` goes to somebody else when this
 * process, or its connection, ends. `timeout` and `signal` are settled with the server, so that an item was put or
 * taken exactly if the promise resolves; only a connection that breaks may leave open whether an item was put.
 */
export class SocketQueue<T = unknown> implements RemoteQueue<T> {
  readonly name: string;
  readonly #connector: Connector;
  readonly #session: Session<Opened<T>>;
  #lost = 0; // taken from a connection that is gone, and not acknowledged
  #opened: Opened<T> | undefined;

  /** @internal `SocketClient.queue` makes them. */
  constructor(connector: Connector, name: string, codec: Codec<T> | undefined) {
    this.name = name;
    this.#connector = connector;
    this.#session = new Session(connector, async (link) => {
      this.#opened = await open(link, name, codec);
      const { inHand } = this.#opened;
      link.onEnd(() => {
        this.#lost += inHand.size;
      });
      return this.#opened;
    });
  }

  /** @internal */
  async open(): Promise<this> {
    await this.#session.get();
    return this;
  }

  get #title(): string {
    return `queue "${this.name}"`;
  }

  /** How many items it holds at the most, besides those that were taken. */
  get capacity(): number {
    return this.#opened?.capacity ?? 0;
  }

  /** How many items were in it when the server answered. */
  get size(): Promise<number> {
    return this.#ask(SIZE, (rest) => rest.readUInt32LE(0));
  }

  /** Puts an item; resolves when it is in the queue. Rejects with ClosedError, CodecError, MessageTooLargeError, TimeoutError. */
  putAsync(value: T, options?: AsyncWaitOptions): Promise<void> {
    const ready = options === undefined ? this.#session.ready : undefined;
    return ready ? ready.outbox.put(value) : this.#put(`put to ${this.#title}`, [value], options);
  }

  /** Puts all items in order. When it rejects, a first part of them may have been put: the error's `done` says how many. */
  async putManyAsync(values: ArrayLike<T>, options?: AsyncWaitOptions): Promise<void> {
    if (typeof values?.length !== 'number') throw new TypeError(`values must be array-like: got ${show(values)}`);
    if (values.length === 0) return;
    const ready = options === undefined ? this.#session.ready : undefined;
    return ready ? ready.outbox.putMany(values) : this.#put(`putMany to ${this.#title}`, values, options);
  }

  #put(what: string, values: ArrayLike<T>, options: AsyncWaitOptions | undefined): Promise<void> {
    return this.#connector.within(what, options, (signal) =>
      this.#session.run(signal, ({ link, outbox }) => {
        return link.wait((request) => outbox.add(values, request), NOTHING, signal);
      }),
    );
  }

  /** Takes the oldest item. Rejects with ClosedError once the queue is closed and drained, and with TimeoutError. */
  async getAsync(options?: AsyncWaitOptions): Promise<T> {
    const { opened, items, tags } = await this.#get(1, options);
    opened.inHand.add(tags[0] as number);
    return items[0] as T;
  }

  /** Takes at least one and at most `max` items, as many as are there. Rejects as `getAsync`. */
  async getManyAsync(max: number, options?: AsyncWaitOptions): Promise<T[]> {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const { opened, items, tags } = await this.#get(Math.min(max, 2 ** 32 - 1), options);
    for (const tag of tags) opened.inHand.add(tag);
    return items;
  }

  /** As `getAsync`; the item has an acknowledgement of its own, and `taskDone` does not count it. */
  async takeAsync(options?: AsyncWaitOptions): Promise<Task<T>> {
    const taken = await this.#get(1, options);
    return taskOf(taken, taken.items[0] as T);
  }

  /**
   * As `takeAsync`, up to `max` items with one acknowledgement; resolves with `undefined` once the queue is closed and drained. When the
   * connection has ended it rejects with ClosedError, or waits for the next one if the client connects again.
   */
  async takeManyAsync(max: number, options?: AsyncWaitOptions): Promise<Task<T[]> | undefined> {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    for (;;) {
      const taken = await this.#get(Math.min(max, 2 ** 32 - 1), options).catch((error) => this.#ended(error));
      if (taken === ENDED) return undefined;
      if (taken !== BROKEN) return taskOf(taken, taken.items);
    }
  }

  /** The server’s `unacknowledged`; of a queue that redelivers no more than its capacity, which what is in hand counts against. */
  get mostInHand(): number {
    return this.#opened?.mostInHand ?? 0;
  }

  #get(max: number, options: AsyncWaitOptions | undefined): Promise<Taken<T>> {
    return this.#connector.within(`get from ${this.#title}`, options, (signal) =>
      this.#session.run(signal, (opened) => {
        const { link, object } = opened;
        const taken: Taken<T> = { opened, items: [], tags: [], unread: undefined };
        const read = (rest: Buffer, isLast: boolean) => {
          receive(taken, rest);
          if (isLast && taken.unread) refuse(taken, taken.unread, this.#title);
          return taken;
        };
        return link.wait(link.start(GET, { object, word: max }), read, signal);
      }),
    );
  }

  /**
   * Says that `n` items which were taken are dealt with, the oldest first; resolves when the server knows, and they never
   * come back. Rejects with RangeError when there are not so many, and with ClosedError when their connection has ended: then they
   * went back.
   */
  async taskDone(n = 1): Promise<void> {
    requireInteger('n', n, 1, 2 ** 24);
    if (this.#lost > 0) {
      this.#lost -= Math.min(n, this.#lost);
      throw new ClosedError(`the connection from which an item of ${this.#title} was taken`);
    }
    const opened = await this.#session.get();
    const { inHand, tags } = opened;
    if (inHand.size < n) {
      throw new RangeError(`n must be at most the items taken from ${this.#title}: got ${n}, there are ${inHand.size}`);
    }
    for (const tag of inHand) {
      if (n-- === 0) break;
      inHand.delete(tag);
      tags.push(tag);
    }
    opened.acknowledged ??= acknowledgement(opened);
    return opened.acknowledged;
  }

  /** Resolves when all that was put is dealt with. Rejects with TimeoutError, or with `signal.reason`. */
  joinAsync(options?: AsyncWaitOptions): Promise<void> {
    return this.#connector.within(`join of ${this.#title}`, options, (signal) =>
      this.#session.run(signal, ({ link, object }) => link.wait(link.start(JOIN, { object }), NOTHING, signal)),
    );
  }

  /** Closes it for everybody: nothing can be put from now on, and what is there can still be taken. */
  close(): Promise<void> {
    return this.#ask(CLOSE, NOTHING);
  }

  #ask<R>(kind: number, read: (rest: Buffer) => R): Promise<R> {
    return this.#session.run(undefined, ({ link, object }) => link.ask(kind, { object }, read));
  }

  /**
   * Takes items until the queue is closed and drained. Acknowledge each by `taskDone`. When the connection ends it throws
   * ClosedError, or goes on with the next one if the client connects again.
   */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const item = await this.getAsync().catch((error) => this.#ended(error));
      if (item === ENDED) return;
      if (item !== BROKEN) yield item;
    }
  }

  #ended(error: unknown): typeof ENDED | typeof BROKEN {
    if (!(error instanceof ClosedError)) throw error;
    if (!this.#connector.isLost(error)) return ENDED;
    if (this.#connector.connectsAgain) return BROKEN;
    throw error;
  }
}

const ENDED: unique symbol = Symbol('the queue is closed and drained');
const BROKEN: unique symbol = Symbol('the connection has ended');
const NOTHING = (): void => {};

interface Taken<T> {
  readonly opened: Opened<T>;
  readonly items: T[];
  readonly tags: number[];
  /** The first of them that the codec cannot read, if there is one, and what it says. */
  unread: { readonly tag: number; readonly cause: unknown } | undefined;
}

function receive<T>(taken: Taken<T>, rest: Buffer): void {
  if (rest.length < 4) throw new ProtocolError('a tag is missing');
  const { count, at } = placesOf(rest, 4);
  const first = rest.readUInt32LE(0);
  for (let i = 0; i < count; i++) {
    const tag = (first + i) >>> 0;
    taken.tags.push(tag);
    try {
      taken.items.push(unpackItem(taken.opened.codec, rest, at[2 * i] as number, at[2 * i + 1] as number));
    } catch (error) {
      const { cause } = error as Error;
      if (cause === undefined) throw error;
      taken.unread ??= { tag, cause };
    }
  }
}

/** An item that cannot be read is dropped, as by a queue of this process; those that came with it go back. Throws CodecError. */
function refuse<T>({ opened, tags }: Taken<T>, { tag, cause }: { tag: number; cause: unknown }, title: string): never {
  const others = tags.filter((other) => other !== tag);
  for (const [kind, those] of [
    [DONE_WITH, [tag]],
    [GIVE_BACK, others],
  ] as const) {
    if (those.length > 0) tell(opened, kind, those).catch(() => {}); // without a connection all of it goes back
  }
  throw new CodecError(opened.codec.name, `cannot read an item of ${title}`, { cause });
}

/** The acknowledgement of what was taken; only the first one does something. */
function taskOf<T, V>({ opened, tags }: Taken<T>, value: V): Task<V> {
  let left: readonly number[] = tags;
  const end = (kind: number): Promise<void> => {
    const mine = left;
    left = [];
    return mine.length === 0 ? Promise.resolve() : tell(opened, kind, mine);
  };
  return { value, done: () => end(DONE_WITH), giveBack: () => end(GIVE_BACK) };
}

async function open<T>(link: Link, name: string, own: Codec<T> | undefined): Promise<Opened<T>> {
  const { description, ...opened } = await link.ask(OPEN_QUEUE, { body: Buffer.from(name) }, (rest) => ({
    object: rest.readUInt32LE(0),
    capacity: rest.readUInt32LE(4),
    mostInHand: rest.readUInt32LE(8),
    description: rest.toString('utf8', 12),
  }));
  const codec = agree(description, own);
  const outbox = new Outbox(link, opened.object, codec);
  return { link, ...opened, codec, outbox, inHand: new Set(), tags: [], acknowledged: undefined };
}

function tell<T>({ link, object }: Opened<T>, kind: number, tags: readonly number[]): Promise<void> {
  const body = Buffer.allocUnsafe(tags.length * 4);
  for (let i = 0; i < tags.length; i++) body.writeUInt32LE(tags[i] as number, i * 4);
  return link.ask(kind, { object, body }, NOTHING);
}

/** What is acknowledged in one turn of the event loop goes in one frame. */
function acknowledgement<T>(opened: Opened<T>): Promise<void> {
  return new Promise((resolve, reject) => {
    opened.link.writer.beforeFlush(() => {
      const tags = opened.tags;
      opened.tags = [];
      opened.acknowledged = undefined;
      if (opened.link.ended) reject(opened.link.ended);
      else tell(opened, DONE_WITH, tags).then(resolve, reject);
    });
  });
}
