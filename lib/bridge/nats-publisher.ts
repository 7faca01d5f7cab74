/** Publisher: items on their way to the stream of a NATS queue, each under an identity of its own until the server has it. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { ClosedError } from '../memory/errors.ts';
import { allowListeners } from '../memory/wait.ts';
import { Turnstile } from '../pool/turnstile.ts';
import type { Codec } from '../queue/codec.ts';
import type { Requests } from './nats-wire.ts';
import { packItems } from './parcel.ts';

const FULL = 10077; // the server's code for a stream that has as many messages as it may have
const SHORTEST_PAUSE = 2; // ms before a refused publication is tried again
const LONGEST_PAUSE = 100;

/** What the server says of a publication that it refuses. */
interface ApiError {
  readonly err_code: number;
  readonly description: string;
}

export class Publisher<T> {
  readonly #connection: NatsConnection;
  readonly #requests: Requests;
  readonly #subject: string;
  readonly #title: string;
  readonly #codec: Codec<T>;
  readonly #window: Turnstile;
  readonly #producer = randomUUID();
  #count = 0;
  /** Nothing can be put any more. */
  closed = false;

  /** @param window how many may be on their way */
  constructor(
    connection: NatsConnection,
    requests: Requests,
    subject: string,
    title: string,
    codec: Codec<T>,
    window: number,
  ) {
    this.#connection = connection;
    this.#requests = requests;
    this.#subject = subject;
    this.#title = title;
    this.#codec = codec;
    this.#window = new Turnstile(window);
  }

  /** Rejects with ClosedError, CodecError, MessageTooLargeError, the signal's reason, or what the connection throws. */
  async publish(value: T, signal: AbortSignal | undefined): Promise<void> {
    return this.#send(this.#pack(value), signal);
  }

  /** Up to the first that cannot be encoded, whose error says in `done` how many those were. */
  async publishAll(values: ArrayLike<T>, signal: AbortSignal | undefined): Promise<void> {
    const failed = new AbortController();
    const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
    allowListeners(either);
    const puts: Promise<void>[] = [];
    let refused: unknown;
    for (let at = 0; at < values.length && !refused; at++) {
      try {
        puts.push(this.#send(this.#pack(values[at] as T), either));
      } catch (error) {
        refused = Object.assign(error as Error, { done: at });
      }
    }
    for (const put of puts) put.catch((error) => failed.abort(error));
    await Promise.all(puts);
    if (refused) throw refused;
  }

  #pack(value: T): Uint8Array {
    const most = this.#connection.info?.max_payload ?? 2 ** 20;
    return new Uint8Array(packItems(this.#codec, [value], 0, { items: 1, bytes: most, most }).body);
  }

  async #send(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    if (this.closed) throw new ClosedError(this.#title);
    const identity = headers();
    identity.set('Nats-Msg-Id', `${this.#producer}.${this.#count++}`);
    const turn = this.#window.enter(signal);
    if (turn) await turn;
    try {
      for (let ms = SHORTEST_PAUSE; ; ms = Math.min(ms * 2, LONGEST_PAUSE)) {
        signal?.throwIfAborted();
        if (this.closed) throw new ClosedError(this.#title);
        if (await this.#isThere(bytes, identity)) return;
        await pause(ms * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
      }
    } finally {
      this.#window.leave();
    }
  }

  /** False when the server refused it for want of room, or did not answer. */
  #isThere(bytes: Uint8Array, identity: MsgHdrs): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#requests.ask(this.#subject, bytes, identity, (answer) => {
        const error = answer?.json<{ error?: ApiError }>().error;
        if (error && error.err_code !== FULL) {
          reject(new Error(`the server refused an item of ${this.#title}: ${error.description} (${error.err_code})`));
        } else resolve(answer !== undefined && !error);
      });
    });
  }
}
