/**
 * Broadcast: every subscriber sees every item. The ring and the cursors: ../kernel/broadcast.ts.
 *
 * Publish  1. encode into bytes of our own  2. copy them into this thread's mail; the kernel claims a position and copies them
 *          from there into the cell  3. wake one thread of each subscription in whose wait set somebody is
 */
import {
  BROADCAST_BYTES,
  BROADCAST_CELL_STRIDE,
  BROADCAST_CELLS_AT,
  BROADCAST_CODEC,
  BROADCAST_LIMIT,
  BROADCAST_MAIL_STRIDE,
  BROADCAST_MAILS_AT,
  BROADCAST_MASK,
  BROADCAST_MESSAGE_BYTES,
  BROADCAST_PLACES,
  BROADCAST_PLACES_AT,
  BROADCAST_PUBLISHERS,
  BROADCAST_SEEN,
  BROADCAST_SKIPS,
  BROADCAST_TAIL,
  BROADCAST_TEXT,
  BUSY,
  CELL_DATA,
  CELL_LENGTH,
  CLOSED,
  FREED,
  KIND_BROADCAST,
  KIND_SUBSCRIPTION,
  MAX_THREADS,
  OBJECT_SERIAL,
  REGION_THREADS,
  SUBSCRIPTION_BROADCAST,
  SUBSCRIPTION_BYTES,
  SUBSCRIPTION_WAITERS,
} from '../kernel/layout.ts';
import { ClosedError, InvalidHandleError, MessageTooLargeError, requireInteger, show } from '../memory/errors.ts';
import { LivePlace, placement, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
import type { Place, Region } from '../memory/region.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  requireWaitOptions,
  spin,
  type WaitOptions,
} from '../memory/wait.ts';
import type { Codec } from './codec.ts';
import { knownAs, putKnown } from './known.ts';
import { codecIn, mailOf, Subscription, wakePublisher } from './subscription.ts';

const MAX_CAPACITY = 2 ** 20;
const MAX_BLOCK_BYTES = 2 ** 24;
const DEFAULT_BLOCK_BYTES = 248; // with its header four cache lines

/** Options of `new Broadcast`. */
export interface BroadcastOptions<T> extends SharedObjectOptions {
  /** How many items it holds at the most, 1 to 1,048,576: so far a subscriber may be behind. */
  capacity: number;
  /**
   * What becomes of a subscriber that is `capacity` items behind: with `'wait'`, the default, publishers wait for it; with
   * `'skip'` it misses the oldest items, is told how many, and goes on with the oldest that is still there.
   */
  slow?: 'wait' | 'skip' | undefined;
  /** How items become bytes; `codec.any` by default: all that `structuredClone` carries. */
  codec?: Codec<T> | Codec<unknown> | undefined;
  /**
   * Bytes of a message at the most, 16 to 16,777,216; 248 by default. A longer one throws MessageTooLargeError. The broadcast
   * reserves so many for each item of its capacity, and for each thread of the region. Numbers of the narrow codecs need 8.
   */
  blockBytes?: number | undefined;
  /** How many subscriptions there may be at a time, 1 to 4096; as many as the region has threads by default. */
  subscribers?: number | undefined;
  /** @internal Where the positions start, for the specs of the wrap. */
  position?: number;
}

/** An encoded item. */
interface Message {
  readonly bytes: Buffer;
  length: number;
}

/**
 * One to all: each subscriber sees each item that is published after it subscribed, in order, exactly as it was. Any thread
 * may publish, subscribe and leave at any time; without subscribers, items are published to nobody.
 *
 * @example
 * const prices = new Broadcast<{ id: string; price: number }>({ capacity: 100, slow: 'skip' });
 * const mine = prices.subscribe();
 * prices.publish({ id: 'tea', price: 3 });
 * mine.get(); // { id: 'tea', price: 3 }
 */
export class Broadcast<T = unknown> extends SharedObject {
  /** @internal */ readonly kind: number = KIND_BROADCAST;
  readonly capacity: number;
  readonly #codec: Codec<T>;
  readonly #most: number; // bytes of a message
  readonly #mail: number;
  readonly #publishers: number;
  #spare: Message | undefined; // nobody uses it just now

  /** Makes a broadcast without subscribers in the region. Throws RangeError, TypeError, RegionFullError. */
  constructor(options: BroadcastOptions<T>);
  /** @internal */
  constructor(place: LivePlace);
  constructor(options: BroadcastOptions<T> | LivePlace) {
    super(options instanceof LivePlace ? options : create(options));
    const { region, offset } = this;
    this.capacity = this.#constant(BROADCAST_LIMIT) / 2;
    this.#codec = codecIn<T>(region, offset);
    this.#most = this.#constant(BROADCAST_MESSAGE_BYTES);
    this.#mail = mailOf(region, offset);
    this.#publishers = offset + BROADCAST_PUBLISHERS;
  }

  /**
   * Publishes an item to all who subscribe now; blocks while a subscriber is `capacity` items behind, unless it is `'skip'`.
   * Throws TimeoutError, ClosedError, CodecError, and MessageTooLargeError for more than `blockBytes` bytes.
   */
  publish(value: T, options?: WaitOptions): void {
    const timeout = requireWaitOptions(options);
    const message = this.#encode(value);
    const attempt = () => (this.#isBehind() ? AGAIN : this.#send(message));
    let sent = attempt();
    if (sent === AGAIN) sent = spin(attempt);
    if (sent === AGAIN) this.region.parker.block({ ...this.#publishing(message), attempt }, timeout);
    this.#spare = message;
  }

  /** As `publish`, without blocking the event loop; items of one thread keep the order of the calls. Rejects as `publish` throws. */
  async publishAsync(value: T, options?: AsyncWaitOptions): Promise<void> {
    const message = this.#encode(value);
    await this.region.parker.wait(this.#publishing(message), options);
    this.#spare = message;
  }

  /**
   * A subscription to all that is published from now on. Close it when it is not used any more: with `'wait'` the publishers
   * wait for it, until its thread ends. Throws ClosedError, and RangeError when there are as many as `subscribers` allows.
   */
  subscribe(): Subscription<T> {
    const { region, offset } = this;
    const serial = region.kernel.nextSerial();
    const said = region.kernel.broadcastSubscribe(offset, this.serial, region.slot, serial);
    if (said === CLOSED || said === FREED) throw this.#refused(said);
    if (said === BUSY) {
      const places = this.#constant(BROADCAST_PLACES);
      throw new RangeError(`subscribers must be more than ${places} for one more subscription to ${this.title}`);
    }
    wakePublisher(region, offset);
    return new Subscription<T>(new LivePlace({ region, offset: said, serial }));
  }

  /** Closes it: `publish` throws ClosedError from now on, subscribers take what is there and then learn of it. Closing twice is fine. */
  close(): void {
    const { region } = this;
    region.check(this);
    region.kernel.broadcastClose(this.offset);
    region.parker.wakeAll(this.#publishers);
    for (const { offset } of this.#places()) region.parker.wakeAll(offset + SUBSCRIPTION_WAITERS);
  }

  /** Closes it, and returns its memory and that of its subscriptions; any later use of all of them throws InvalidHandleError. */
  override free(): void {
    this.close();
    const places = this.#places();
    super.free();
    for (const place of places) this.region.free(place);
  }

  /** The bytes of the item; until it was sent nobody else uses them, be it a getter of the item that publishes, too. */
  #encode(value: T): Message {
    const message = this.#spare ?? { bytes: Buffer.allocUnsafeSlow(this.#most), length: 0 };
    this.#spare = undefined;
    message.length = this.#codec.encode(value, message.bytes, 0, this.#most);
    if (message.length < 0) throw this.#tooLarge(value);
    return message;
  }

  #tooLarge(value: T): Error {
    let [bytes, length] = [this.#most, -1];
    while (length < 0 && bytes < this.region.bytes) {
      bytes *= 2;
      length = this.#codec.encode(value, Buffer.allocUnsafeSlow(bytes), 0, bytes);
    }
    return new MessageTooLargeError(length < 0 ? bytes : length, this.#most, `blockBytes of ${this.title}`);
  }

  #send({ bytes, length }: Message): true | typeof AGAIN {
    const { region, offset } = this;
    region.check(this); // the mail is the broadcast's memory
    bytes.copy(region.buffer, this.#mail + CELL_DATA, 0, length);
    region.i32[(this.#mail + CELL_LENGTH) >> 2] = length;
    const said = region.kernel.broadcastPublish(offset, this.serial, region.slot);
    if (said === BUSY) return AGAIN;
    if (said < 0) throw this.#refused(said);
    this.#wakeSubscribers();
    wakePublisher(region, offset);
    return true;
  }

  #wakeSubscribers(): void {
    const { kernel, parker, i32 } = this.region;
    let place = kernel.broadcastSleeper(this.offset, 0);
    for (; place >= 0; place = kernel.broadcastSleeper(this.offset, place + 1)) {
      const subscription = i32[(this.#constant(BROADCAST_PLACES_AT) >> 2) + place] ?? 0;
      parker.wake(subscription + SUBSCRIPTION_WAITERS);
    }
  }

  #publishing(message: Message): Operation<true> {
    const { kernel } = this.region;
    return {
      what: `publish to ${this.title}`,
      object: this,
      set: this.#publishers,
      attempt: () => this.#send(message),
      passOn: () => kernel.waiting(this.#publishers) !== 0 && kernel.broadcastWritable(this.offset) !== 0,
    };
  }

  /** Whether promises of this thread still wait to publish, after those were served that can go on. */
  #isBehind(): boolean {
    const { parker } = this.region;
    if (!parker.hasWaiters(this.#publishers)) return false;
    parker.serve(this.#publishers);
    return parker.hasWaiters(this.#publishers);
  }

  /** Its subscriptions as they are now, those that nobody uses too. */
  #places(): Place[] {
    const { region } = this;
    const first = this.#constant(BROADCAST_PLACES_AT) >> 2;
    return Array.from({ length: this.#constant(BROADCAST_PLACES) }, (_, place) => {
      const offset = region.i32[first + place] ?? 0;
      return { region, offset, serial: region.i32[(offset + OBJECT_SERIAL) >> 2] ?? 0 };
    });
  }

  #constant(at: number): number {
    return this.region.i32[(this.offset + at) >> 2] ?? 0;
  }

  #refused(said: number): Error {
    if (said === FREED) return new InvalidHandleError(`the broadcast at offset ${this.offset} was freed`);
    return new ClosedError(this.title);
  }
}

function create<T>(options: BroadcastOptions<T>): Place {
  const { region, name } = placement(options);
  const threads = region.i32[REGION_THREADS >> 2] ?? 0;
  const { capacity, slow = 'wait', blockBytes = DEFAULT_BLOCK_BYTES, subscribers = threads, position = 0 } = options;
  requireInteger('capacity', capacity, 1, MAX_CAPACITY);
  requireInteger('blockBytes', blockBytes, 16, MAX_BLOCK_BYTES);
  requireInteger('subscribers', subscribers, 1, 8 * MAX_THREADS);
  if (slow !== 'wait' && slow !== 'skip') throw new TypeError(`slow must be 'wait' or 'skip': got ${show(slow)}`);
  const known = knownAs(options.codec);
  const inline = (options.codec as Codec<T> | undefined)?.inline !== undefined;
  const most = inline ? 8 : blockBytes;
  const cells = 2 ** Math.ceil(Math.log2(capacity));
  const cellStride = inline ? CELL_DATA + 8 : lines(CELL_DATA + blockBytes);
  const mailStride = lines(CELL_DATA + most);
  const placesAt = BROADCAST_BYTES;
  const mailsAt = lines(placesAt + 4 * subscribers);
  const cellsAt = mailsAt + threads * mailStride;
  const words = (offset: number): Record<number, number> => ({
    [BROADCAST_MASK]: cells - 1,
    [BROADCAST_LIMIT]: capacity * 2,
    [BROADCAST_SKIPS]: Number(slow === 'skip'),
    [BROADCAST_CODEC]: known.number,
    [BROADCAST_MESSAGE_BYTES]: most,
    [BROADCAST_CELL_STRIDE]: cellStride,
    [BROADCAST_CELLS_AT]: offset + cellsAt,
    [BROADCAST_MAIL_STRIDE]: mailStride,
    [BROADCAST_MAILS_AT]: offset + mailsAt,
    [BROADCAST_PLACES]: subscribers,
    [BROADCAST_PLACES_AT]: offset + placesAt,
    [BROADCAST_TAIL]: position,
    [BROADCAST_SEEN]: position,
    [BROADCAST_TEXT]: putKnown(region, known, offset + textAt),
  });
  const textAt = cellsAt + cells * cellStride;
  return withPlaces(region, name, subscribers, (places) =>
    region.create(KIND_BROADCAST, textAt + known.bytes, name, (offset) => {
      write(region, offset, words(offset));
      for (const [place, subscription] of places.entries()) {
        region.i32[((offset + placesAt) >> 2) + place] = subscription;
        region.i32[(subscription + SUBSCRIPTION_BROADCAST) >> 2] = offset;
      }
      for (let cell = 0; cell < cells; cell++) {
        const next = position + 2 * (((cell - (position >>> 1)) & (cells - 1)) - cells); // as if published a lap ago
        region.i32[(offset + cellsAt + cell * cellStride) >> 2] = next | 1;
      }
    }),
  );
}

/** Makes the memory of the subscriptions, and then what needs it; all of it, or nothing. */
function withPlaces(region: Region, name: string, count: number, make: (places: number[]) => Place): Place {
  const places: Place[] = [];
  try {
    while (places.length < count) places.push(region.create(KIND_SUBSCRIPTION, SUBSCRIPTION_BYTES, name));
    const made = make(places.map(({ offset }) => offset));
    for (const { offset } of places) region.i32[(offset + OBJECT_SERIAL) >> 2] = 0; // nobody's yet
    return made;
  } catch (error) {
    for (const place of places) region.free(place);
    throw error;
  }
}

function write(region: Region, offset: number, words: Record<number, number>): void {
  for (const [at, value] of Object.entries(words)) region.i32[(offset + Number(at)) >> 2] = value;
}

/** So many bytes, rounded up to whole cache lines. */
function lines(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

revives(KIND_BROADCAST, (place) => new Broadcast(place));
