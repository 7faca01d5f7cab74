/**
 * Pipe: two ends, both ways. Each end is a shared object: whose it is, and the two queues, one for each way.
 * Owners and the end of file: ../kernel/pipe.ts.
 */
import {
  CLOSED,
  DONE,
  FREED,
  KIND_PIPE,
  KIND_QUEUE,
  PIPE_BYTES,
  PIPE_INBOX,
  PIPE_OUTBOX,
  PIPE_OVER,
  PIPE_PEER,
} from '../kernel/layout.ts';
import { ClosedError, InvalidHandleError, NotOwnerError, TimeoutError } from '../memory/errors.ts';
import { LivePlace, placement, revives, SharedObject, type SharedObjectOptions } from '../memory/handles.ts';
import type { Place, Region } from '../memory/region.ts';
import { OVER, type Selectable } from '../memory/selectable.ts';
import { AGAIN, type AsyncWaitOptions, requireWaitOptions, spin, type WaitOptions } from '../memory/wait.ts';
import type { Codec } from './codec.ts';
import { Queue } from './queue.ts';

const DEFAULT_CAPACITY = 64;

/** Options of `pipe`. */
export interface PipeOptions<T> extends SharedObjectOptions {
  /** How many items each way holds at the most, 1 to 16,777,216; 64 by default. */
  capacity?: number | undefined;
  /** How items become bytes; `codec.any` by default: all that `structuredClone` carries. */
  codec?: Codec<T> | Codec<unknown> | undefined;
  /** Bytes of a message that need no further memory, as for a Queue; 240 by default. Longer messages work, more slowly. */
  blockBytes?: number | undefined;
  /** @internal Where the positions start, for the specs of the wrap. */
  position?: number;
}

/**
 * Two connected ends, for one thread each: what one sends, the other receives, in order and exactly as it was. An end
 * belongs to the thread that uses it first, so share the other one before it is used. Throws RangeError, TypeError,
 * RegionFullError.
 *
 * @example
 * const [mine, yours] = pipe<string>();
 * mine.send('hello'); // from here on `mine` is this thread's
 * new Worker(new URL('./worker.js', import.meta.url), { workerData: share(yours) });
 */
export function pipe<T = unknown>(options: PipeOptions<T> = {}): [Connection<T>, Connection<T>] {
  const { region, name } = placement(options);
  const queueOptions = { ...options, capacity: options.capacity ?? DEFAULT_CAPACITY };
  const made: Place[] = [];
  const keep = <P extends Place>(place: P): P => {
    made.push(place);
    return place;
  };
  try {
    const there = keep(new Queue<T>(queueOptions));
    const back = keep(new Queue<T>(queueOptions));
    const one = keep(createEnd(region, name, back, there));
    const other = keep(createEnd(region, name, there, back));
    write(one, PIPE_PEER, other);
    write(other, PIPE_PEER, one);
    return [new Connection<T>(new LivePlace(one)), new Connection<T>(new LivePlace(other))];
  } catch (error) {
    for (const place of made) region.free(place);
    throw error;
  }
}

/**
 * One end of a pipe. Only one thread uses it, the one that uses it first; any other throws NotOwnerError. When the other end
 * is closed, or the thread that used it ends, `recv` gives what is still there and then throws ClosedError, and `send`
 * throws it at once. An end that no thread has used yet belongs to nobody, and nobody's death closes it.
 *
 * @example
 * const [mine, yours] = pipe<number>();
 * mine.send(1);
 * yours.recv(); // 1
 */
export class Connection<T = unknown> extends SharedObject {
  /** @internal */ readonly kind: number = KIND_PIPE;
  readonly #me: number;
  readonly #inbox: Queue<T>;
  readonly #outbox: Queue<T>;

  /** @internal `pipe()` makes them. */
  constructor(place: LivePlace) {
    super(place);
    this.#me = this.region.slot + 1;
    this.#inbox = new Way<T>(read(this, PIPE_INBOX), this.title);
    this.#outbox = new Way<T>(read(this, PIPE_OUTBOX), this.title);
  }

  /**
   * Sends an item; blocks while the other end has not taken enough. Throws TimeoutError, NotOwnerError, CodecError,
   * MessageTooLargeError, and ClosedError when one of the ends is closed or the thread of the other one has ended.
   */
  send(value: T, options?: WaitOptions): void {
    this.#use('send');
    this.#outbox.put(value, options);
  }

  /** As `send`, without blocking the event loop; items keep the order of the calls. Rejects as `send` throws, or with `signal.reason`. */
  async sendAsync(value: T, options?: AsyncWaitOptions): Promise<void> {
    this.#use('send');
    return this.#outbox.putAsync(value, options);
  }

  /**
   * Takes the oldest item that the other end sent; blocks while there is none. Throws TimeoutError, NotOwnerError, and
   * ClosedError when this end is closed, or when the other one is and all it had sent was taken.
   */
  recv(options?: WaitOptions): T {
    this.#use('recv');
    return this.#inbox.get(options);
  }

  /** As `recv`, without blocking the event loop. Rejects as `recv` throws, or with `signal.reason`. */
  async recvAsync(options?: AsyncWaitOptions): Promise<T> {
    this.#use('recv');
    return this.#inbox.getAsync(options);
  }

  /**
   * Whether `recv` would return or throw at once. Never waits without options; `timeout` blocks for so many milliseconds at
   * the most, and `{}` until there is something. Throws NotOwnerError, and ClosedError when this end is closed.
   */
  poll(options: WaitOptions = { timeout: 0 }): boolean {
    const timeout = requireWaitOptions(options);
    this.#use('poll');
    const { object, set, ready } = this.#inbox.selectable();
    const attempt = (): true | typeof AGAIN => ready() || AGAIN;
    if (ready()) return true;
    if (timeout === 0) return false;
    if (spin(attempt) === true) return true;
    const { kernel, parker } = this.region;
    const passOn = () => kernel.waiting(set) !== 0 && ready();
    try {
      return parker.block({ what: `poll of ${this.title}`, object, set, attempt, passOn }, timeout);
    } catch (error) {
      if (error instanceof TimeoutError) return false;
      throw error;
    }
  }

  /**
   * Closes this end: the other one takes what was sent, and then learns of the end; what was sent to this one and not
   * received is dropped. Only the thread that uses the end may close it, or else NotOwnerError; closing twice is fine.
   */
  close(): void {
    const { kernel } = this.region;
    const said = kernel.pipeEnter(this.offset, this.serial, this.#me);
    if (said === CLOSED) return;
    if (said !== DONE) throw this.#refused('close', said);
    kernel.pipeLeave(this.offset, this.#me);
    this.#inbox.close();
    this.#outbox.close();
  }

  /** Frees both ends and what is on its way; any later use of either, in any thread, throws InvalidHandleError. */
  override free(): void {
    const { region } = this;
    region.check(this);
    this.#inbox.free();
    this.#outbox.free();
    region.free(read(this, PIPE_PEER));
    super.free();
  }

  /** `close`, so that `using` closes the end. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Receives items, blocking, until the end of file. */
  *[Symbol.iterator](): Iterator<T> {
    this.#use('recv');
    for (const item of this.#inbox) {
      yield item;
      if (this.#isOver()) return;
    }
  }

  /** Receives items, without blocking the event loop, until the end of file. */
  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    this.#use('recv');
    for await (const item of this.#inbox) {
      yield item;
      if (this.#isOver()) return;
    }
  }

  /** @internal What `select` needs. */
  selectable(): Selectable<T> {
    const { region, offset, serial } = this;
    const said = region.kernel.pipeEnter(offset, serial, this.#me);
    const inbox = this.#inbox.selectable();
    if (said === CLOSED) return { ...inbox, ready: () => true, take: () => OVER };
    if (said !== DONE) throw this.#refused('select', said);
    return inbox;
  }

  #use(verb: string): void {
    const said = this.region.kernel.pipeEnter(this.offset, this.serial, this.#me);
    if (said !== DONE) throw this.#refused(verb, said);
  }

  /** Whether this end was closed. */
  #isOver(): boolean {
    return this.region.kernel.pipeOwner(this.offset) === PIPE_OVER;
  }

  #refused(verb: string, said: number): Error {
    if (said === FREED) return new InvalidHandleError(`the connection at offset ${this.offset} was freed`);
    if (said === CLOSED) return new ClosedError(this.title);
    const owner = this.region.kernel.pipeOwner(this.offset) - 1;
    return new NotOwnerError(
      `the thread in slot ${this.#me - 1} cannot ${verb} on ${this.title}: the thread in slot ${owner} uses it`,
    );
  }
}

/** The queue of one way; in errors it has the name of the end. */
class Way<T> extends Queue<T> {
  readonly #title: string;

  constructor(place: Place, title: string) {
    super(new LivePlace(place.region.find(KIND_QUEUE, place.offset, place.serial)));
    this.#title = title;
  }

  override get title(): string {
    return this.#title;
  }
}

function createEnd(region: Region, name: string, inbox: Place, outbox: Place): Place {
  const end = region.create(KIND_PIPE, PIPE_BYTES, name);
  write(end, PIPE_INBOX, inbox);
  write(end, PIPE_OUTBOX, outbox);
  return end;
}

/** Writes which object one belongs to: its address, and its serial behind that. Nobody else sees the end yet. */
function write(end: Place, at: number, { offset, serial }: Place): void {
  const word = (end.offset + at) >> 2;
  end.region.i32[word] = offset;
  end.region.i32[word + 1] = serial;
}

function read({ region, offset }: Place, at: number): Place {
  const word = (offset + at) >> 2;
  return { region, offset: region.i32[word] ?? 0, serial: region.i32[word + 1] ?? 0 };
}

revives(KIND_PIPE, (place) => new Connection(place));
