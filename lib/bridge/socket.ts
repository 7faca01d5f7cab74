/**
 * `ringfence/socket`: queues and mutexes of one process for the other processes of its user, on the same machine.
 */
import { requireOptions, show } from '../memory/errors.ts';
import type { Codec } from '../queue/codec.ts';
import { Connector } from './connector.ts';
import { requirePath } from './place.ts';
import { type ServeOptions, SocketServer } from './server.ts';
import { SocketMutex } from './socket-mutex.ts';
import { SocketQueue } from './socket-queue.ts';

export type { AsyncMutex, AsyncQueue, RemoteQueue, Task } from './faces.ts';
export type { ServeOptions, SocketMutex, SocketQueue, SocketServer };

/**
 * Serves queues and mutexes of this process to other processes, under their names, through a socket at `path`. Resolves when
 * clients can connect. Threads of this process go on to use the same objects directly; with a lock that clients hold
 * the thread that serves must not block, so it locks by `lockAsync`.
 *
 * A socket that an earlier server left behind is replaced. Rejects with EADDRINUSE when a server listens there; TypeError,
 * RangeError.
 *
 * @example
 * import { serve } from 'ringfence/socket';
 *
 * const jobs = new Queue<string>({ capacity: 100 });
 * const server = await serve({ path: '/tmp/shop.sock', queues: { jobs }, mutexes: { till: new Mutex() } });
 * await jobs.putAsync('tea');
 * await server.close();
 */
export async function serve(options: ServeOptions): Promise<SocketServer> {
  return new SocketServer(options).listen();
}

/** Options of `connect`. */
export interface ConnectOptions {
  /**
   * Whether to connect again when the connection has ended. What waits then is rejected with ClosedError either way; what
   * is asked later waits for the next connection. `false` by default: it is rejected, too.
   */
  reconnect?: boolean | undefined;
  /** @internal The number of the first request, for the specs of the wrap. */
  request?: number;
}

/**
 * Connects to the server at `path`. Rejects when nobody listens there (ENOENT, ECONNREFUSED), and with ClosedError when the
 * server does not speak this version.
 *
 * @example
 * import { connect } from 'ringfence/socket';
 *
 * await using client = await connect('/tmp/shop.sock');
 * const jobs = await client.queue<string>('jobs');
 * for await (const job of jobs) {
 *   console.log(job);
 *   await jobs.taskDone();
 * }
 */
export async function connect(path: string, options: ConnectOptions = {}): Promise<SocketClient> {
  requirePath(path);
  requireOptions(options);
  const { reconnect = false, request = 0 } = options;
  if (typeof reconnect !== 'boolean') throw new TypeError(`reconnect must be a boolean: got ${show(reconnect)}`);
  const connector = new Connector(path, reconnect, request);
  await connector.connect();
  return new SocketClient(connector);
}

/** One connection to a server, for many operations at a time. It keeps its process alive exactly while one of them waits. */
export class SocketClient {
  readonly #connector: Connector;

  constructor(connector: Connector) {
    this.#connector = connector;
  }

  /** Whether there is a connection just now. */
  get connected(): boolean {
    return this.#connector.connected;
  }

  /**
   * A queue of the server. The server knows its codec; only one that is not of `codec.*` has to be given here, too. Rejects with
   * TypeError when the server has no queue of that name, CodecError for a wrong codec, ClosedError.
   */
  async queue<T = unknown>(name: string, { codec }: { codec?: Codec<T> | undefined } = {}): Promise<SocketQueue<T>> {
    return new SocketQueue<T>(this.#connector, requireName(name), codec).open();
  }

  /** A mutex of the server. Rejects with TypeError when the server has none of that name, ClosedError. */
  async mutex(name: string): Promise<SocketMutex> {
    return new SocketMutex(this.#connector, requireName(name)).open();
  }

  /**
   * Ends the connection. What waits is rejected with ClosedError, what was taken and not acknowledged goes back, and a lock that
   * is held counts as one whose owner has died.
   */
  async close(): Promise<void> {
    this.#connector.close();
  }

  /** `close`, so that `await using` ends the connection. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function requireName(name: unknown): string {
  if (typeof name !== 'string' || name === '') throw new TypeError(`name must be a string: got ${show(name)}`);
  return name;
}
