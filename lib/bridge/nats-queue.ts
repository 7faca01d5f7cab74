/**
 * A queue between machines: a work-queue stream of NATS JetStream that refuses when it is full, and one durable consumer.
 *
 * Put   1. publish with an identity of its own, so that trying again cannot double it  2. if the stream is full, pause and try
 *          again: see nats-publisher.ts
 * Get   1. ask for as many items as are waited for, and no more: see nats-pulls.ts
 *       2. while an item is in hand, say so before its lease runs out  3. an acknowledgement deletes it: see nats-hand.ts
 *
 * A process that stops, for whatever reason, says nothing any more, and after the lease its items go to others.
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  AckPolicy,
  type Consumer,
  DiscardPolicy,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { type Msg, type NatsConnection, nanos } from '@nats-io/transport-node';
import { ClosedError, CodecError, requireInteger, requireOptions, show } from '../memory/errors.ts';
import type { AsyncWaitOptions } from '../memory/wait.ts';
import { Deadline } from '../pool/deadline.ts';
import { type Codec, codec as codecs } from '../queue/codec.ts';
import type { RemoteQueue, Task } from './faces.ts';
import { Hand } from './nats-hand.ts';
import { Publisher } from './nats-publisher.ts';
import { Pulls } from './nats-pulls.ts';
import { codeOf, Requests, requireConnection, requireName } from './nats-wire.ts';
import { unpackItems } from './parcel.ts';

const EXISTS = 10058; // a stream of that name has another configuration
const MOST_TAKEN = 1024; // items together
const SHORTEST_PAUSE = 2; // ms until it is asked again whether all is dealt with
const LONGEST_PAUSE = 200;
const BUCKET = 'ringfence_queues';
const CONSUMER = 'ringfence';

/** Options of `natsQueue`. */
export interface NatsQueueOptions<T> {
  connection: NatsConnection;
  /** Letters, digits, `_` and `-`, at most 64: under this name all machines find it. */
  name: string;
  /** How many items it holds at the most, those that are taken and not acknowledged included; 1 to 16,777,216. */
  capacity: number;
  /** How items become bytes, the same on all machines; `codec.any` by default. */
  codec?: Codec<T> | Codec<unknown> | undefined;
  /** Milliseconds without a sign of life after which items in hand go to others, 1,000 to 86,400,000; 30,000 by default. */
  lease?: number | undefined;
  /** How many puts may be on their way at a time, 1 to 65,536; 256 by default. Only with 1 is the order kept when it is full. */
  window?: number | undefined;
  /** Whether items are kept on disk, and so outlive the server; `true` by default. */
  durable?: boolean | undefined;
}

/** A queue on a NATS server: see `natsQueue`. Items are delivered at least once. */
export class NatsQueue<T = unknown> implements RemoteQueue<T> {
  readonly name: string;
  readonly capacity: number;
  readonly #connection: NatsConnection;
  readonly #codec: Codec<T>;
  readonly #lease: number;
  readonly #durable: boolean;
  readonly #publisher: Publisher<T>;
  readonly #hand: Hand;
  readonly #pulls: Pulls;
  #manager!: JetStreamManager; // these two by `open`
  #consumer!: Consumer;

  /** @internal `natsQueue` makes them. */
  constructor(options: NatsQueueOptions<T>) {
    requireOptions(options);
    const { connection, name, capacity, codec = codecs.any, lease = 30_000, window = 256, durable = true } = options;
    requireName(name);
    requireInteger('capacity', capacity, 1, 2 ** 24);
    requireInteger('lease', lease, 1000, 86_400_000);
    requireInteger('window', window, 1, 65_536);
    requireConnection(connection);
    this.name = name;
    this.capacity = capacity;
    this.#connection = connection;
    this.#codec = codec as Codec<T>;
    this.#lease = lease;
    this.#durable = durable;
    const requests = new Requests(connection);
    this.#publisher = new Publisher(connection, requests, this.#subject, this.#title, this.#codec, window);
    this.#hand = new Hand(connection, requests, lease);
    this.#pulls = new Pulls(connection, this.#stream, CONSUMER, () => this.#endIfDrained());
  }

  get #stream(): string {
    return `ringfence_${this.name}`;
  }

  get #subject(): string {
    return `ringfence.queue.${this.name}`;
  }

  get #title(): string {
    return `queue "${this.name}"`;
  }

  /** @internal */
  async open(): Promise<this> {
    this.#manager = await jetstreamManager(this.#connection);
    await this.#makeStream();
    await this.#manager.consumers.add(this.#stream, {
      durable_name: CONSUMER,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(this.#lease),
      max_ack_pending: -1,
    });
    this.#consumer = await jetstream(this.#connection).consumers.get(this.#stream, CONSUMER);
    await this.#watch();
    return this;
  }

  async #makeStream(): Promise<void> {
    const config = {
      name: this.#stream,
      subjects: [this.#subject],
      retention: RetentionPolicy.Workqueue,
      max_msgs: this.capacity,
      discard: DiscardPolicy.New,
      storage: this.#durable ? StorageType.File : StorageType.Memory,
    };
    try {
      await this.#manager.streams.add(config);
    } catch (error) {
      if (codeOf(error) !== EXISTS) throw error;
      const { config: there } = await this.#manager.streams.info(this.#stream);
      const is = `has capacity ${there.max_msgs} and is kept ${there.storage === StorageType.File ? 'on disk' : 'in memory'}`;
      throw new RangeError(`${this.#title} is there already with other options: it ${is}`);
    }
  }

  /** Learns that it is closed, wherever that was said. */
  async #watch(): Promise<void> {
    const bucket = await new Kvm(this.#connection).create(BUCKET);
    const news = await bucket.watch({ key: this.name });
    if ((await bucket.get(this.name))?.string() === 'closed') this.#hearClosed();
    void (async () => {
      for await (const entry of news) if (entry.operation === 'PUT' && entry.string() === 'closed') this.#hearClosed();
    })();
  }

  #hearClosed(): void {
    this.#publisher.closed = true;
    this.#pulls.close();
  }

  /** How many items are there that nobody has taken. */
  get size(): Promise<number> {
    return this.#consumer.info().then(({ num_pending }) => num_pending);
  }

  /**
   * Puts an item; resolves when the server has it. After a timeout or an abort it may yet be there, if the server did not answer.
   * Rejects with ClosedError, CodecError, TimeoutError, or what the connection throws when it is closed for good.
   */
  async putAsync(value: T, options?: AsyncWaitOptions): Promise<void> {
    if (options === undefined) return this.#publisher.publish(value, undefined);
    const { signal, clear } = new Deadline(`put to ${this.#title}`, options);
    try {
      await this.#publisher.publish(value, signal);
    } finally {
      clear();
    }
  }

  /**
   * Puts all items. When it rejects, some of them may have been put; when an item cannot be encoded, all before it are put, and the
   * error's `done` says how many.
   */
  async putManyAsync(values: ArrayLike<T>, options: AsyncWaitOptions = {}): Promise<void> {
    if (typeof values?.length !== 'number') throw new TypeError(`values must be array-like: got ${show(values)}`);
    const { signal, clear } = new Deadline(`putMany to ${this.#title}`, options);
    try {
      await this.#publisher.publishAll(values, signal);
    } finally {
      clear();
    }
  }

  /** Takes the oldest item. Rejects with ClosedError once the queue is closed and drained, and with TimeoutError. */
  async getAsync(options?: AsyncWaitOptions): Promise<T> {
    const [value] = this.#open(await this.#take(1, options), true);
    return value as T;
  }

  /** Takes at least one and at most `max` items, as many as are there. Rejects as `getAsync`. */
  async getManyAsync(max: number, options?: AsyncWaitOptions): Promise<T[]> {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    return this.#open(await this.#take(max, options), true);
  }

  /** As `getAsync`; the item has an acknowledgement of its own, and `taskDone` does not count it. */
  async takeAsync(options?: AsyncWaitOptions): Promise<Task<T>> {
    const messages = await this.#take(1, options);
    const [value] = this.#open(messages, false);
    return this.#hand.task(value as T, messages);
  }

  /** As `takeAsync`, up to `max` items with one acknowledgement; resolves with `undefined` once the queue is closed and drained. */
  async takeManyAsync(max: number, options?: AsyncWaitOptions): Promise<Task<T[]> | undefined> {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const messages = await this.#take(max, options).catch(endOf);
    return messages && this.#hand.task(this.#open(messages, false), messages);
  }

  /** What is taken and not acknowledged counts as there. */
  get mostInHand(): number {
    return this.capacity;
  }

  /** The items of messages, which are in hand from now on: all of them, or none. */
  #open(messages: readonly Msg[], isOrdered: boolean): T[] {
    const values: T[] = [];
    for (const message of messages) {
      try {
        const { buffer, byteOffset, byteLength } = message.data;
        values.push(unpackItems(this.#codec, Buffer.from(buffer, byteOffset, byteLength), 0)[0] as T);
      } catch (cause) {
        for (const other of messages) if (other !== message) other.respond('-NAK');
        message.respond('+TERM'); // nobody could read it
        throw new CodecError(this.#codec.name, `cannot read an item of ${this.#title}`, { cause });
      }
    }
    for (const message of messages) this.#hand.add(message, isOrdered);
    return values;
  }

  async #take(max: number, options: AsyncWaitOptions | undefined): Promise<Msg[]> {
    const most = Math.min(max, this.capacity, MOST_TAKEN);
    if (options === undefined) return this.#pulls.take(most, undefined);
    const { signal, clear } = new Deadline(`get from ${this.#title}`, options);
    try {
      return await this.#pulls.take(most, signal);
    } finally {
      clear();
    }
  }

  /**
   * Whether nothing can come any more: nothing is there, and nobody has what might come back. Who has something himself does not
   * wait for what others have, so that no two wait for each other.
   */
  async #endIfDrained(): Promise<void> {
    const { num_pending, num_ack_pending } = await this.#consumer.info();
    const isOver = num_pending === 0 && (num_ack_pending === 0 || this.#hand.size > 0);
    if (isOver) this.#pulls.rejectAll(new ClosedError(this.#title));
  }

  /**
   * Says that `n` items which were taken are dealt with, the oldest first; resolves when the server has deleted them. If that
   * rejects, because the server did not answer, they may come back. Rejects with RangeError when there are not so many.
   */
  async taskDone(n = 1): Promise<void> {
    requireInteger('n', n, 1, 2 ** 24);
    const { ordered } = this.#hand;
    if (ordered < n) {
      throw new RangeError(`n must be at most the items taken from ${this.#title}: got ${n}, there are ${ordered}`);
    }
    await this.#hand.acknowledge(this.#hand.oldest(n));
  }

  /** Resolves when all that was put is dealt with; asks the server now and then. Rejects with TimeoutError. */
  async joinAsync(options: AsyncWaitOptions = {}): Promise<void> {
    const { signal, clear } = new Deadline(`join of ${this.#title}`, options);
    try {
      for (let ms = SHORTEST_PAUSE; ; ms = Math.min(ms * 2, LONGEST_PAUSE)) {
        const { state } = await this.#manager.streams.info(this.#stream);
        if (state.messages === 0) return;
        signal?.throwIfAborted();
        await pause(ms, undefined, { signal }).catch(() => {});
      }
    } finally {
      clear();
    }
  }

  /**
   * Closes it for all machines: nothing can be put here from now on, and elsewhere when the news has come there; what is there
   * can still be taken.
   */
  async close(): Promise<void> {
    const bucket = await new Kvm(this.#connection).create(BUCKET);
    await bucket.put(this.name, 'closed');
    this.#hearClosed();
  }

  /** Removes it from the server, with all that is in it; under its name a new one may be made. */
  async destroy(): Promise<void> {
    const bucket = await new Kvm(this.#connection).create(BUCKET);
    await this.#manager.streams.delete(this.#stream);
    await bucket.purge(this.name);
  }

  /** Takes items until the queue is closed and drained. Acknowledge each by `taskDone`. */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const messages = await this.#take(1, undefined).catch(endOf);
      if (!messages) return;
      yield this.#open(messages, true)[0] as T;
    }
  }
}

function endOf(error: unknown): undefined {
  if (!(error instanceof ClosedError)) throw error;
  return undefined;
}
