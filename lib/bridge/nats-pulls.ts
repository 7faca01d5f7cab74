/**
 * Pulls: how items come from a NATS consumer to those who wait for them here.
 *
 * Ask   1. for as many items as are waited for and were not asked for, of those that are there now
 *       2. if there was none, for one for each who waits, as soon as there is one; again when the server has given that up
 * Deal  3. when a request has ended, what came goes to those who wait, in their order
 *       4. what came for somebody who has given up meanwhile goes back: others may wait for it
 *
 * Invariant: what is here is withheld from other machines; so nothing is here that nobody has asked for. A request
 * that ends early is drained, so that what is on its way still comes, and goes back.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createInbox, type Msg, type NatsConnection, nanos, type Subscription } from '@nats-io/transport-node';
import { ANSWER_TIME } from './nats-wire.ts';

const ASKING_TIME = 5000; // ms that a request for items stays with the server
const CLOSED_TIME = 1000; // of a queue that is closed, which may have ended meanwhile
const RETRY_TIME = 100;

interface Getter {
  readonly max: number;
  readonly resolve: (messages: Msg[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** How a request has ended: somebody came, nothing was there, or the server did not answer. */
type End = 'some' | 'none' | 'silence';

export class Pulls {
  readonly #connection: NatsConnection;
  readonly #subject: string;
  /** Called when a closed queue gave nothing: rejects all if that is the end. */
  readonly #onNothing: () => Promise<void>;
  readonly #getters: Getter[] = [];
  readonly #here: Msg[] = [];
  readonly #ends = new Set<() => void>(); // what ends a request that is under way
  #asked = 0;
  #soon = false;
  closed = false;

  constructor(connection: NatsConnection, stream: string, consumer: string, onNothing: () => Promise<void>) {
    this.#connection = connection;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#onNothing = onNothing;
    void connection.closed().then((error) => {
      for (const end of this.#ends) end();
      this.rejectAll(error ?? new Error('the connection to the server is closed'));
    });
  }

  /** At least one message and at most `max`. Rejects with the signal's reason. */
  take(max: number, signal: AbortSignal | undefined): Promise<Msg[]> {
    return new Promise((resolve, reject) => {
      const getter = { max, resolve, reject };
      this.#getters.push(getter);
      signal?.addEventListener('abort', () => this.#giveUp(getter, signal.reason), { once: true });
      if (this.#soon) return;
      this.#soon = true;
      queueMicrotask(() => {
        this.#soon = false;
        this.#ask();
      });
    });
  }

  rejectAll(reason: unknown): void {
    for (const getter of this.#getters.splice(0)) getter.reject(reason);
  }

  /** Nothing more will be put: whoever waits asks again, and then hears whether that is the end. */
  close(): void {
    this.closed = true;
    for (const end of this.#ends) end();
  }

  #giveUp(getter: Getter, reason: unknown): void {
    const at = this.#getters.indexOf(getter);
    if (at < 0) return;
    this.#getters.splice(at, 1);
    getter.reject(reason);
    if (this.#getters.length === 0) for (const end of this.#ends) end();
  }

  #ask(): void {
    const wanted = this.#getters.reduce((sum, { max }) => sum + max, 0) - this.#asked;
    if (wanted > 0) void this.#fetch(wanted);
  }

  async #fetch(wanted: number): Promise<void> {
    this.#asked += wanted;
    let end: End = 'silence';
    try {
      end = await this.#request(wanted, { no_wait: true }, ANSWER_TIME);
      const expires = this.closed ? CLOSED_TIME : ASKING_TIME;
      const those = Math.min(wanted, this.#getters.length);
      if (end === 'none' && those > 0) {
        if (this.closed) await this.#onNothing();
        if (this.#getters.length > 0) {
          end = await this.#request(those, { expires: nanos(expires) }, expires + ANSWER_TIME);
        }
      }
    } catch (error) {
      if (this.#connection.isClosed()) this.rejectAll(error);
    }
    if (end === 'silence') await pause(RETRY_TIME); // the server is away
    this.#asked -= wanted;
    this.#deal();
    this.#ask();
  }

  /** Asks for `batch` messages, and resolves when the request has ended; one that waits ends with the first. */
  #request(batch: number, how: { no_wait: true } | { expires: number }, patience: number): Promise<End> {
    return new Promise((resolve) => {
      let left = batch;
      let ended = false;
      const inbox = createInbox();
      const hear = (message: Msg) => {
        const code = message.reply ? 0 : (message.headers?.code ?? 0);
        if (code > 0) finish(code === 503 ? 'silence' : 'none');
        else {
          left--;
          this.#here.push(message);
          if (ended) this.#deal();
          else if (left === 0 || 'expires' in how) finish('some');
        }
      };
      const subscription = this.#connection.subscribe(inbox, { callback: (_, message) => hear(message) });
      const finish = (end: End) => {
        if (ended) return;
        ended = true;
        clearTimeout(timer);
        this.#ends.delete(stop);
        leave(subscription, left === 0);
        resolve(left < batch ? 'some' : end);
      };
      const stop = () => finish('none');
      const timer = setTimeout(() => finish('silence'), patience);
      this.#ends.add(stop);
      this.#connection.publish(this.#subject, JSON.stringify({ batch, ...how }), { reply: inbox });
    });
  }

  #deal(): void {
    while (this.#here.length > 0 && this.#getters.length > 0) {
      const getter = this.#getters.shift() as Getter;
      getter.resolve(this.#here.splice(0, getter.max));
    }
    for (const message of this.#here.splice(0)) message.respond('-NAK');
  }
}

/** What may be on its way is heard yet, unless all has come. */
function leave(subscription: Subscription, isAll: boolean): void {
  if (subscription.isClosed()) return;
  if (isAll) subscription.unsubscribe();
  else subscription.drain().catch(() => {}); // the connection has ended, and with it the subscription
}
