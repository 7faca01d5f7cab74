/** Hand: what this process has taken from a NATS queue and not acknowledged, and the signs of life for it. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import type { Task } from './faces.ts';
import type { Requests } from './nats-wire.ts';

const TRIES = 5;
const RETRY_TIME = 100; // ms

export class Hand {
  readonly #connection: NatsConnection;
  readonly #requests: Requests;
  readonly #lease: number;
  readonly #held = new Set<Msg>();
  readonly #ordered = new Set<Msg>(); // those that `taskDone` acknowledges, the oldest first
  #heart: NodeJS.Timeout | undefined;

  constructor(connection: NatsConnection, requests: Requests, lease: number) {
    this.#connection = connection;
    this.#requests = requests;
    this.#lease = lease;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Of these how many `taskDone` counts. */
  get ordered(): number {
    return this.#ordered.size;
  }

  add(message: Msg, isOrdered: boolean): void {
    this.#held.add(message);
    if (isOrdered) this.#ordered.add(message);
    this.#heart ??= setInterval(() => this.#beat(), this.#lease / 3).unref();
  }

  /** The oldest `n`, which are in hand no longer. */
  oldest(n: number): Msg[] {
    const messages: Msg[] = [];
    for (const message of this.#ordered) {
      if (messages.length === n) break;
      messages.push(message);
    }
    return this.leave(messages);
  }

  /** Those of them that were in hand, and are no longer. */
  leave(messages: readonly Msg[]): Msg[] {
    return messages.filter((message) => {
      this.#ordered.delete(message);
      return this.#held.delete(message);
    });
  }

  /** An acknowledgement for all of them together; only the first one does something. */
  task<V>(value: V, messages: readonly Msg[]): Task<V> {
    const giveBack = async () => {
      for (const message of this.leave(messages)) message.respond('-NAK');
    };
    return { value, done: () => this.acknowledge(this.leave(messages)), giveBack };
  }

  /** Resolves when the server has confirmed it. It is tried again as a publication is: a second time does nothing. */
  async acknowledge(messages: readonly Msg[]): Promise<void> {
    let left = messages;
    for (let tries = TRIES; ; tries--) {
      left = await this.#ask(left);
      if (left.length === 0) return;
      if (tries === 0) throw new Error(`the server did not confirm ${left.length} acknowledgements`);
      await pause(RETRY_TIME);
    }
  }

  /** Those that were not confirmed. */
  #ask(messages: readonly Msg[]): Promise<Msg[]> {
    return new Promise((resolve) => {
      const unconfirmed: Msg[] = [];
      let waiting = messages.length;
      if (waiting === 0) resolve(unconfirmed);
      for (const message of messages) {
        this.#requests.ask(message.reply as string, '+ACK', undefined, (answer) => {
          if (!answer) unconfirmed.push(message);
          if (--waiting === 0) resolve(unconfirmed);
        });
      }
    });
  }

  /** Says of what is in hand that it is in hand. */
  #beat(): void {
    if (this.#held.size === 0 || this.#connection.isClosed()) {
      clearInterval(this.#heart);
      this.#heart = undefined;
    } else for (const message of this.#held) message.respond('+WPI');
  }
}
