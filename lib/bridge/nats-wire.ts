/** What queues and mutexes on a NATS server share: names, codes of errors, and requests by the thousand on one subscription. */
import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { show } from '../memory/errors.ts';

/** Milliseconds until what was not answered is tried again. */
export const ANSWER_TIME = 2000;

/** Throws unless the server can have something of this name. */
export function requireName(name: unknown): asserts name is string {
  if (typeof name === 'string' && /^[\w-]{1,64}$/.test(name)) return;
  throw new TypeError(`name must be 1 to 64 letters, digits, _ or -: got ${show(name)}`);
}

export function requireConnection(connection: unknown): asserts connection is NatsConnection {
  if (typeof (connection as { publish?: unknown } | undefined)?.publish === 'function') return;
  throw new TypeError(`connection must be one of @nats-io/transport-node: got ${show(connection)}`);
}

/** The code of an error of the server itself; the others are those of a connection. */
export function codeOf(error: unknown): number | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'number' && code > 10_000 ? code : undefined;
}

/** Hears the answer, or nothing when none came in time. */
type Hear = (answer: Msg | undefined) => void;

/**
 * Requests of one object, all on one subscription and one timer. The client's own `request` makes a timer and an error with its
 * stack for each.
 */
export class Requests {
  readonly #connection: NatsConnection;
  readonly #inbox = createInbox();
  readonly #waiting = new Map<string, { readonly hear: Hear; readonly since: number }>();
  #next = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
    connection.subscribe(`${this.#inbox}.*`, {
      callback: (_, answer) => this.#end(answer.subject.slice(this.#inbox.length + 1), answer),
    });
    void connection.closed().then(() => this.#sweep(Number.POSITIVE_INFINITY));
  }

  /** Throws when the connection is closed. */
  ask(subject: string, data: Uint8Array | string, headers: MsgHdrs | undefined, hear: Hear): void {
    const token = String(this.#next++);
    const reply = `${this.#inbox}.${token}`;
    this.#connection.publish(subject, data, headers ? { reply, headers } : { reply });
    this.#waiting.set(token, { hear, since: performance.now() });
    this.#timer ??= setInterval(() => this.#sweep(performance.now() - ANSWER_TIME), ANSWER_TIME / 4);
  }

  #end(token: string, answer: Msg | undefined): void {
    const waiting = this.#waiting.get(token);
    this.#waiting.delete(token);
    waiting?.hear(answer?.headers?.code === 503 ? undefined : answer); // 503: nobody is there yet
  }

  /** They were asked in the order in which they stand here. */
  #sweep(before: number): void {
    for (const [token, { since }] of this.#waiting) {
      if (since > before) break;
      this.#end(token, undefined);
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
