import { createServer, type Server } from 'node:net';
import { requireInteger, requireOptions, show } from '../memory/errors.ts';
import { keepFreedMemory } from '../queue/heap.ts';
import { Queue } from '../queue/queue.ts';
import { Mutex } from '../sync/mutex.ts';
import { Guest, type Host } from './guest.ts';
import { requirePath, takePlace } from './place.ts';
import { ServedQueue } from './served.ts';

const FRAME_BYTES = 16 * 2 ** 20;
const WINDOW_ITEMS = 4096;
const WINDOW_BYTES = 2 ** 20;
const UNACKNOWLEDGED = 1024;
const GREETING_TIME = 10_000; // ms

/** Options of `serve`. */
export interface ServeOptions {
  /** The name of the socket in the file system, at most 103 bytes long; only this user can open it. */
  path: string;
  /** The queues that are served, by the names under which clients ask for them. */
  queues?: Readonly<Record<string, Queue<never> | Queue>> | undefined;
  /** The mutexes that are served, by the names under which clients ask for them. */
  mutexes?: Readonly<Record<string, Mutex>> | undefined;
  /** The longest frame, and so about the longest item, in bytes, 4,096 to 1,073,741,824; 16 MiB by default. */
  frameBytes?: number | undefined;
  /** How many items of one queue a client may hold without an acknowledgement, 1 to 1,048,576; 1,024 by default. */
  unacknowledged?: number | undefined;
  /** @internal The first tag of each queue, for the specs of the wrap. */
  tag?: number;
  /** @internal How long a client may take for its greeting, in ms. */
  greetingTime?: number;
}

/** What `serve` gives: a server, until it is closed. It keeps its process alive. */
export class SocketServer {
  readonly path: string;
  readonly #server: Server;
  readonly #guests = new Set<Guest>();
  readonly #host: Host;
  #giveUpPlace = async (): Promise<void> => {};
  #closed: Promise<void> | undefined;

  /** @internal `serve` makes them. */
  constructor(options: ServeOptions) {
    this.path = options.path;
    this.#host = hostOf(options);
    keepFreedMemory(); // what comes is read into new memory each time
    this.#server = createServer((socket) => {
      const guest = new Guest(socket, this.#host);
      this.#guests.add(guest);
      void guest.left.then(() => this.#guests.delete(guest));
    });
  }

  /** @internal */
  async listen(): Promise<this> {
    this.#giveUpPlace = await takePlace(this.#server, this.path);
    for (const queue of this.#host.queues.values()) queue.begin();
    return this;
  }

  /** How many clients are connected. */
  get clients(): number {
    return this.#guests.size;
  }

  /**
   * Ends all connections and takes the name away. What clients wait for is rejected with ClosedError; their locks and their
   * items are given back as if they had died; items for which their queue has no room are there again when it is next served. Queues
   * and mutexes stay as they are. Closing twice is fine.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#giveUpPlace();
    const ended = new Promise((resolve) => this.#server.close(resolve));
    for (const guest of this.#guests) guest.refuse('the server was closed');
    for (const queue of this.#host.queues.values()) queue.end();
    await ended;
  }

  /** `close`, so that `await using` ends the server. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function hostOf(options: ServeOptions): Host {
  requireOptions(options);
  const {
    path,
    queues = {},
    mutexes = {},
    frameBytes = FRAME_BYTES,
    unacknowledged = UNACKNOWLEDGED,
    tag = 0,
    greetingTime = GREETING_TIME,
  } = options;
  requirePath(path);
  requireInteger('frameBytes', frameBytes, 4096, 2 ** 30);
  requireInteger('unacknowledged', unacknowledged, 1, 2 ** 20);
  const served = requireAll('queues', queues, Queue).map(([name, queue]) => [name, ServedQueue.of(queue)] as const);
  return {
    queues: new Map(served),
    mutexes: new Map(requireAll('mutexes', mutexes, Mutex)),
    terms: { frameBytes, windowItems: WINDOW_ITEMS, windowBytes: WINDOW_BYTES },
    unacknowledged,
    tag,
    greetingTime,
  };
}

function requireAll<T extends object>(
  argument: string,
  objects: unknown,
  type: abstract new (...args: never[]) => T,
): [string, T][] {
  if (typeof objects !== 'object' || objects === null) {
    throw new TypeError(`${argument} must be an object of names and ${type.name}s: got ${show(objects)}`);
  }
  return Object.entries(objects).map(([name, object]) => {
    if (!(object instanceof type))
      throw new TypeError(`${argument}.${name} must be a ${type.name}: got ${show(object)}`);
    return [name, object];
  });
}
