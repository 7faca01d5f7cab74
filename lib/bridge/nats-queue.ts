/**
 * A queue between machines: a work-queue stream of NATS JetStream that refuses when it is full, and one durable consumer.
 *
 * Put   1. publish with an identity of its own, so that trying again cannot double it  2. if the stream is full, pause and try again
 * Get   1. ask for as many items as are waited for, and no more: what is here is withheld from other machines
 *       2. while an item is in hand, say so before its lease runs out  3. an acknowledgement deletes it
 *
 * A process that stops, for whatever reason, says nothing any more, and after the lease its items go to others.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import {
  AckPolicy,
  type Consumer,
  type ConsumerMessages,
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { type NatsConnection, nanos } from '@nats-io/transport-node';
import { ClosedError, CodecError, requireInteger, requireOptions, show } from '../memory/errors.ts';
import { type AsyncWaitOptions, allowListeners } from '../memory/wait.ts';
import { Deadline } from '../pool/deadline.ts';
import { Turnstile } from '../pool/turnstile.ts';
import { type Codec, codec as codecs } from '../queue/codec.ts';
import type { RemoteQueue, Task } from './faces.ts';
import { packItems, unpackItems } from './parcel.ts';

const FULL = 10077; // the server's code for a stream that has as many messages as it may have
const EXISTS = 10058; // a stream of that name has another configuration
const ANSWER_TIME = 2000; // ms until a publication is tried again
const ASKING_TIME = 5000; // ms that a request for items stays with the server
const SHORTEST_PAUSE = 2; // ms before a refused publication is tried again
const LONGEST_PAUSE = 100;
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

interface Getter {
  readonly max: number;
  readonly resolve: (messages: JsMsg[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** A queue on a NATS server: see `natsQueue`. Items are delivered at least once. */
export class NatsQueue<T = unknown> implements RemoteQueue<T> {
  readonly name: string;
  readonly capacity: number;
  readonly #connection: NatsConnection;
  readonly #codec: Codec<T>;
  readonly #lease: number;
  readonly #durable: boolean;
  readonly #window: Turnstile;
  readonly #producer = randomUUID();
  readonly #getters: Getter[] = [];
  readonly #here: JsMsg[] = []; // came for a getter that had given up
  readonly #asking = new Set<ConsumerMessages>();
  readonly #inHand = new Set<JsMsg>();
  readonly #tasks = new Set<JsMsg>();
  #js!: JetStreamClient; // these three by `open`
  #manager!: JetStreamManager;
  #consumer!: Consumer;
  #count = 0; // of what was put
  #asked = 0; // items that the server was asked for
  #closed = false;
  #heart: NodeJS.Timeout | undefined;

  /** @internal `natsQueue` makes them. */
  constructor(options: NatsQueueOptions<T>) {
    requireOptions(options);
    const { connection, name, capacity, codec = codecs.any, lease = 30_000, window = 256, durable = true } = options;
    requireName(name);
    requireInteger('capacity', capacity, 1, 2 ** 24);
    requireInteger('lease', lease, 1000, 86_400_000);
    requireInteger('window', window, 1, 65_536);
    if (typeof (connection as { publish?: unknown } | undefined)?.publish !== 'function') {
      throw new TypeError(`connection must be one of @nats-io/transport-node: got ${show(connection)}`);
    }
    this.name = name;
    this.capacity = capacity;
    this.#connection = connection;
    this.#codec = codec as Codec<T>;
    this.#lease = lease;
    this.#durable = durable;
    this.#window = new Turnstile(window);
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
    this.#js = jetstream(this.#connection);
    this.#manager = await jetstreamManager(this.#connection);
    await this.#makeStream();
    await this.#manager.consumers.add(this.#stream, {
      durable_name: CONSUMER,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(this.#lease),
      max_ack_pending: -1,
    });
    this.#consumer = await this.#js.consumers.get(this.#stream, CONSUMER);
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
    this.#closed = (await bucket.get(this.name))?.string() === 'closed';
    void (async () => {
      for await (const entry of news) if (entry.operation === 'PUT' && entry.string() === 'closed') this.#hearClosed();
    })();
  }

  #hearClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const messages of this.#asking) messages.stop(); // they ask again, and then look whether that is the end
  }

  /** How many items are there that nobody has taken. */
  get size(): Promise<number> {
    return this.#consumer.info().then(({ num_pending }) => num_pending);
  }

  /**
   * Puts an item; resolves when the server has it. After a timeout or an abort it may yet be there, if the server did not answer.
   * Rejects with ClosedError, CodecError, TimeoutError, or what the connection throws when it is closed for good.
   */
  async putAsync(value: T, options: AsyncWaitOptions = {}): Promise<void> {
    const { signal, clear } = new Deadline(`put to ${this.#title}`, options);
    try {
      await this.#publish(value, signal);
    } finally {
      clear();
    }
  }

  /** Puts all items. When it rejects, some of them may have been put. */
  async putManyAsync(values: ArrayLike<T>, options: AsyncWaitOptions = {}): Promise<void> {
    if (typeof values?.length !== 'number') throw new TypeError(`values must be array-like: got ${show(values)}`);
    const { signal, clear } = new Deadline(`putMany to ${this.#title}`, options);
    const failed = new AbortController();
    const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
    allowListeners(either);
    try {
      const puts = Array.from(values, (value) => this.#publish(value, either));
      for (const put of puts) put.catch((error) => failed.abort(error));
      await Promise.all(puts);
    } finally {
      clear();
    }
  }

  async #publish(value: T, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) throw new ClosedError(this.#title);
    const most = this.#connection.info?.max_payload ?? 2 ** 20;
    const bytes = Uint8Array.from(packItems(this.#codec, [value], 0, { items: 1, bytes: most, most }).body);
    const msgID = `${this.#producer}.${this.#count++}`;
    await this.#window.enter(signal);
    try {
      for (let ms = SHORTEST_PAUSE; ; ms = Math.min(ms * 2, LONGEST_PAUSE)) {
        signal?.throwIfAborted();
        if (this.#closed) throw new ClosedError(this.#title);
        if (await this.#isPublished(bytes, msgID)) return;
        await pause(ms * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
      }
    } finally {
      this.#window.leave();
    }
  }

  /** False when the server refused it or did not answer. */
  async #isPublished(bytes: Uint8Array, msgID: string): Promise<boolean> {
    try {
      await this.#js.publish(this.#subject, bytes, { msgID, timeout: ANSWER_TIME });
      return true;
    } catch (error) {
      if (this.#connection.isClosed()) throw error;
      if (codeOf(error) !== undefined && codeOf(error) !== FULL) throw error;
      return false;
    }
  }

  /** Takes the oldest item. Rejects with ClosedError once the queue is closed and drained, and with TimeoutError. */
  async getAsync(options?: AsyncWaitOptions): Promise<T> {
    const [message] = await this.#take(1, options);
    return this.#open(message as JsMsg, this.#inHand);
  }

  /** Takes at least one and at most `max` items, as many as are there. Rejects as `getAsync`. */
  async getManyAsync(max: number, options?: AsyncWaitOptions): Promise<T[]> {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const messages = await this.#take(Math.min(max, this.capacity, 1024), options);
    return messages.map((message) => this.#open(message, this.#inHand));
  }

  /** As `getAsync`; the item has an acknowledgement of its own, and `taskDone` does not count it. */
  async takeAsync(options?: AsyncWaitOptions): Promise<Task<T>> {
    const [message] = (await this.#take(1, options)) as [JsMsg];
    const value = this.#open(message, this.#tasks);
    const end = async (how: () => unknown): Promise<void> => {
      if (this.#tasks.delete(message)) await how();
    };
    return { value, done: () => end(() => this.#acknowledge(message)), giveBack: () => end(() => message.nak()) };
  }

  /** As `takeAsync`, up to `max` items with one acknowledgement; resolves with `undefined` once the queue is closed and drained. */
  async takeManyAsync(max: number, options?: AsyncWaitOptions): Promise<Task<T[]> | undefined> {
    requireInteger('max', max, 1, Number.MAX_SAFE_INTEGER);
    const messages = await this.#take(Math.min(max, this.capacity, 1024), options).catch(endOf);
    if (!messages) return undefined;
    const value = messages.map((message) => this.#open(message, this.#tasks));
    const end = async (how: (message: JsMsg) => unknown): Promise<void> => {
      await Promise.all(messages.map((message) => this.#tasks.delete(message) && how(message)));
    };
    return {
      value,
      done: () => end((message) => this.#acknowledge(message)),
      giveBack: () => end((message) => message.nak()),
    };
  }

  /** What is taken and not acknowledged counts as there. */
  get mostInHand(): number {
    return this.capacity;
  }

  #open(message: JsMsg, hand: Set<JsMsg>): T {
    try {
      const bytes = Buffer.from(message.data.buffer, message.data.byteOffset, message.data.byteLength);
      const [value] = unpackItems(this.#codec, bytes, 0);
      hand.add(message);
      this.#beat();
      return value as T;
    } catch (cause) {
      message.term(); // nobody could read it
      throw new CodecError(this.#codec.name, `cannot read an item of ${this.#title}`, { cause });
    }
  }

  /** Says of what is in hand that it is in hand. */
  #beat(): void {
    this.#heart ??= setInterval(() => {
      for (const hand of [this.#inHand, this.#tasks]) for (const message of hand) message.working();
      if (this.#inHand.size + this.#tasks.size > 0) return;
      clearInterval(this.#heart);
      this.#heart = undefined;
    }, this.#lease / 3).unref();
  }

  async #take(max: number, options: AsyncWaitOptions = {}): Promise<JsMsg[]> {
    const { signal, clear } = new Deadline(`get from ${this.#title}`, options);
    try {
      return await new Promise<JsMsg[]>((resolve, reject) => {
        const getter = { max, resolve, reject };
        this.#getters.push(getter);
        signal?.addEventListener('abort', () => this.#giveUp(getter, signal.reason), { once: true });
        this.#deal();
        this.#ask();
      });
    } finally {
      clear();
    }
  }

  #giveUp(getter: Getter, reason: unknown): void {
    const at = this.#getters.indexOf(getter);
    if (at < 0) return;
    this.#getters.splice(at, 1);
    getter.reject(reason);
    if (this.#getters.length === 0) for (const messages of this.#asking) messages.stop();
  }

  /** Asks for what is waited for and was not asked for. */
  #ask(): void {
    const wanted = this.#getters.reduce((sum, { max }) => sum + max, 0) - this.#asked - this.#here.length;
    if (wanted > 0) void this.#fetch(wanted);
  }

  async #fetch(wanted: number): Promise<void> {
    this.#asked += wanted;
    let left = wanted;
    let messages: ConsumerMessages | undefined;
    try {
      messages = await this.#consumer.fetch({ max_messages: wanted, expires: this.#closed ? 1000 : ASKING_TIME });
      this.#asking.add(messages);
      if (this.#getters.length === 0) messages.stop();
      for await (const message of messages) {
        left--;
        this.#asked--;
        this.#here.push(message);
        this.#dealSoon();
      }
    } catch (error) {
      if (this.#connection.isClosed()) this.#rejectAll(error);
      else await pause(LONGEST_PAUSE); // the server is away, or the request was lost with a connection
    }
    if (messages) this.#asking.delete(messages);
    this.#asked -= left;
    if (this.#closed && left === wanted) await this.#endIfDrained();
    this.#ask();
  }

  async #endIfDrained(): Promise<void> {
    const left = await this.size.catch(() => 1);
    if (left === 0) this.#rejectAll(new ClosedError(this.#title));
  }

  #rejectAll(reason: unknown): void {
    for (const getter of this.#getters.splice(0)) getter.reject(reason);
  }

  #dealing = false;

  /** What came in one turn of the event loop goes to the getters together. */
  #dealSoon(): void {
    if (this.#dealing) return;
    this.#dealing = true;
    setImmediate(() => {
      this.#dealing = false;
      this.#deal();
    });
  }

  #deal(): void {
    while (this.#here.length > 0 && this.#getters.length > 0) {
      const getter = this.#getters.shift() as Getter;
      getter.resolve(this.#here.splice(0, getter.max));
    }
    // Nobody waits here: let others have it.
    if (this.#getters.length === 0) for (const message of this.#here.splice(0)) message.nak();
  }

  /**
   * Says that `n` items which were taken are dealt with, the oldest first; resolves when the server has deleted them. If that
   * rejects, because the server did not answer, they may come back. Rejects with RangeError when there are not so many.
   */
  async taskDone(n = 1): Promise<void> {
    requireInteger('n', n, 1, 2 ** 24);
    if (this.#inHand.size < n) {
      throw new RangeError(
        `n must be at most the items taken from ${this.#title}: got ${n}, there are ${this.#inHand.size}`,
      );
    }
    const messages = [...this.#inHand].slice(0, n);
    for (const message of messages) this.#inHand.delete(message);
    await Promise.all(messages.map((message) => this.#acknowledge(message)));
  }

  /** An acknowledgement is tried again as a publication is: a second one does nothing. */
  async #acknowledge(message: JsMsg): Promise<void> {
    const { reply } = message as JsMsg & { readonly reply: string };
    for (let tries = 5; ; tries--) {
      try {
        await this.#connection.request(reply, '+ACK', { timeout: ANSWER_TIME });
        return;
      } catch (error) {
        if (tries === 0 || this.#connection.isClosed()) throw error;
        await pause(LONGEST_PAUSE);
      }
    }
  }

  /** Resolves when all that was put is dealt with; asks the server now and then. Rejects with TimeoutError. */
  async joinAsync(options: AsyncWaitOptions = {}): Promise<void> {
    const { signal, clear } = new Deadline(`join of ${this.#title}`, options);
    try {
      for (let ms = SHORTEST_PAUSE; ; ms = Math.min(ms * 2, LONGEST_PAUSE * 2)) {
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
      const messages = await this.#take(1).catch(endOf);
      if (!messages) return;
      yield this.#open(messages[0] as JsMsg, this.#inHand);
    }
  }
}

function endOf(error: unknown): undefined {
  if (!(error instanceof ClosedError)) throw error;
  return undefined;
}

/** Throws unless the server can have something of this name. */
export function requireName(name: unknown): asserts name is string {
  if (typeof name === 'string' && /^[\w-]{1,64}$/.test(name)) return;
  throw new TypeError(`name must be 1 to 64 letters, digits, _ or -: got ${show(name)}`);
}

/** The code of an error of the server itself; the others are those of a connection. */
export function codeOf(error: unknown): number | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'number' && code > 10_000 ? code : undefined;
}
