/**
 * A lock between machines: a key in a bucket of NATS whose entries expire.
 *
 * Lock    1. create the key, which fails while it is there  2. if it is, wait until it is deleted, or until it must have expired
 * Hold    3. every third of the ttl write it again, on condition that it is still ours
 * Unlock  4. delete it, on the same condition
 *
 * Invariant: the number of the entry that 1 made, the token, is greater than that of every earlier holder, since the server counts
 * all writes to the bucket. A holder that was stopped for longer than its ttl does not know that it has lost the lock: only
 * who guards the data can, by refusing a token that is less than one it has seen.
 */
import { randomUUID } from 'node:crypto';
import { type KV, Kvm, type KvWatchEntry } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { NotOwnerError, OwnerDiedError, requireInteger, requireOptions } from '../memory/errors.ts';
import type { AsyncWaitOptions } from '../memory/wait.ts';
import { Deadline } from '../pool/deadline.ts';
import { Turnstile } from '../pool/turnstile.ts';
import type { AsyncMutex } from './faces.ts';
import { codeOf, requireConnection, requireName } from './nats-wire.ts';

const KEY = 'holder';
const WRONG_LAST = 10071; // the server's code for a condition that does not hold

/** Options of `natsMutex`. */
export interface NatsMutexOptions {
  connection: NatsConnection;
  /** Letters, digits, `_` and `-`, at most 64: under this name all machines find it. */
  name: string;
  /** Milliseconds without a sign of life after which the lock goes to others, 300 to 86,400,000; the same on all machines. */
  ttl: number;
}

/** That one holds the lock. */
export interface Lease {
  /** Greater than that of every earlier holder: whoever guards the data refuses what comes with a lesser one. */
  readonly token: number;
  /** Aborts with OwnerDiedError when the lock is lost before it was unlocked. */
  readonly signal: AbortSignal;
}

class Held implements Lease {
  readonly token: number;
  readonly lost = new AbortController();
  readonly signal = this.lost.signal;
  revision: number;
  timer: NodeJS.Timeout | undefined;
  expiry: NodeJS.Timeout | undefined;
  renewing: Promise<void> = Promise.resolve();

  constructor(revision: number) {
    this.token = revision;
    this.revision = revision;
  }

  stopTimers(): void {
    clearTimeout(this.timer);
    clearTimeout(this.expiry);
  }
}

/** A mutex on a NATS server: see `natsMutex`. */
export class NatsMutex implements AsyncMutex {
  readonly name: string;
  readonly ttl: number;
  readonly #connection: NatsConnection;
  readonly #id = randomUUID();
  readonly #turn = new Turnstile(1); // of several tasks here one goes for it
  #bucket!: KV; // by `open`
  #held: Held | undefined;

  /** @internal `natsMutex` makes them. */
  constructor(options: NatsMutexOptions) {
    requireOptions(options);
    const { connection, name, ttl } = options;
    requireName(name);
    requireInteger('ttl', ttl, 300, 86_400_000);
    requireConnection(connection);
    this.name = name;
    this.ttl = ttl;
    this.#connection = connection;
  }

  /** @internal */
  async open(): Promise<this> {
    this.#bucket = await new Kvm(this.#connection).create(`ringfence_lock_${this.name}`, { ttl: this.ttl });
    const { ttl } = await this.#bucket.status();
    if (ttl !== this.ttl) throw new RangeError(`${this.#title} is there already with ttl ${ttl}: got ${this.ttl}`);
    return this;
  }

  get #title(): string {
    return `mutex "${this.name}"`;
  }

  /** Locks. Rejects with TimeoutError, `signal.reason`, or what the connection throws. */
  async lockAsync(options: AsyncWaitOptions = {}): Promise<Lease> {
    const { signal, clear } = new Deadline(`lock of ${this.#title}`, options);
    try {
      await this.#turn.enter(signal);
      try {
        return await this.#lock(signal);
      } catch (error) {
        this.#turn.leave();
        throw error;
      }
    } finally {
      clear();
    }
  }

  async #lock(signal: AbortSignal | undefined): Promise<Lease> {
    for (;;) {
      signal?.throwIfAborted();
      const since = performance.now();
      const revision = await this.#create();
      if (revision !== undefined) return this.#hold(revision, since);
      await this.#untilFree(signal);
    }
  }

  async #create(): Promise<number | undefined> {
    try {
      return await this.#bucket.create(KEY, this.#id);
    } catch (error) {
      if (codeOf(error) === WRONG_LAST) return undefined;
      throw error;
    }
  }

  /** Returns when the key was deleted, or nobody wrote it for the ttl: an entry that expires is not announced. */
  async #untilFree(signal: AbortSignal | undefined): Promise<void> {
    const news = await this.#bucket.watch({ key: KEY });
    let timer: NodeJS.Timeout | undefined;
    const stop = () => news.stop();
    const restart = () => {
      clearTimeout(timer);
      timer = setTimeout(stop, this.ttl);
    };
    signal?.addEventListener('abort', stop, { once: true });
    restart();
    try {
      for await (const entry of news as AsyncIterable<KvWatchEntry>) {
        if (entry.operation !== 'PUT') return;
        restart();
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      stop();
    }
  }

  #hold(revision: number, since: number): Lease {
    const held = new Held(revision);
    this.#held = held;
    this.#renewLater(held, since);
    return held;
  }

  /** `since`: when the last write began that the server is known to have done. */
  #renewLater(held: Held, since: number): void {
    held.stopTimers();
    held.timer = setTimeout(() => {
      held.renewing = this.#renew(held, since);
    }, this.ttl / 3);
    // Whatever is still waited for then, an answer of the server that is gone, say.
    const expire = () => this.#lose(held, new Error('the server did not answer for that long'));
    held.expiry = setTimeout(expire, since + this.ttl - performance.now());
  }

  async #renew(held: Held, since: number): Promise<void> {
    const now = performance.now();
    const left = since + this.ttl - now;
    try {
      if (left <= 0) throw new Error('this process was stopped for longer than that');
      held.revision = await this.#bucket.update(KEY, this.#id, held.revision, Math.min(left, this.ttl / 3));
      if (this.#holds(held)) this.#renewLater(held, now);
    } catch (cause) {
      // It may have been written without an answer, or late, by way of a new connection: then the number to be replaced is another.
      const isOurs = left > 0 && (await this.#isOurs(held));
      if (!isOurs) this.#lose(held, cause);
      else if (this.#holds(held)) this.#renewLater(held, since);
    }
  }

  async #isOurs(held: Held): Promise<boolean> {
    try {
      const entry = await this.#bucket.get(KEY);
      if (entry?.operation !== 'PUT' || entry.string() !== this.#id) return false;
      held.revision = entry.revision;
      return true;
    } catch {
      return this.#holds(held); // no answer again: until the ttl is over it is ours
    }
  }

  #holds(held: Held): boolean {
    return held === this.#held && !held.signal.aborted;
  }

  #lose(held: Held, cause: unknown): void {
    if (!this.#holds(held)) return;
    held.stopTimers();
    held.lost.abort(
      Object.assign(new OwnerDiedError(`${this.#title} was lost: the server had no sign of life for ${this.ttl} ms`), {
        cause,
      }),
    );
  }

  /** Unlocks; resolves when others can lock. Rejects with NotOwnerError when it is not held here, or was lost meanwhile. */
  async unlock(): Promise<void> {
    const held = this.#held;
    if (!held) throw new NotOwnerError(`${this.#title} cannot be unlocked: it is not held here`);
    this.#held = undefined;
    held.stopTimers();
    try {
      if (!held.signal.aborted) await held.renewing;
      if (held.signal.aborted) throw new Error('it was lost', { cause: held.signal.reason });
      await this.#remove(held);
    } catch (cause) {
      throw Object.assign(new NotOwnerError(`${this.#title} cannot be unlocked: it was lost meanwhile`), { cause });
    } finally {
      this.#turn.leave();
    }
  }

  async #remove(held: Held): Promise<void> {
    try {
      await this.#bucket.delete(KEY, { previousSeq: held.revision });
    } catch (error) {
      if (!(await this.#isOurs(held))) throw error;
      await this.#bucket.delete(KEY, { previousSeq: held.revision });
    }
  }

  /** Runs `fn` under the lock, with the lease; unlocks when its promise is settled. */
  async withAsync<R>(fn: (lease: Lease) => R | Promise<R>, options?: AsyncWaitOptions): Promise<R> {
    const lease = await this.lockAsync(options);
    try {
      return await fn(lease);
    } finally {
      await this.unlock();
    }
  }
}
