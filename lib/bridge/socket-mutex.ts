import type { AsyncWaitOptions } from '../memory/wait.ts';
import { type Connector, Session } from './connector.ts';
import type { AsyncMutex } from './faces.ts';
import { FORSAKE, LOCK, OPEN_MUTEX, RECOVER, UNLOCK } from './frame.ts';
import type { Link } from './link.ts';

interface Opened {
  readonly link: Link;
  readonly object: number;
}

/**
 * A mutex of another process: see `connect`. When its holder, or the connection of its holder, ends, everybody else gets
 * OwnerDiedError until `recoverAsync` has run, as between threads. A holder that is merely stopped keeps it: there is no lease.
 */
export class SocketMutex implements AsyncMutex {
  readonly name: string;
  readonly #connector: Connector;
  readonly #session: Session<Opened>;

  /** @internal `SocketClient.mutex` makes them. */
  constructor(connector: Connector, name: string) {
    this.name = name;
    this.#connector = connector;
    this.#session = new Session(connector, async (link) => {
      const body = Buffer.from(name);
      return { link, object: await link.ask(OPEN_MUTEX, { body }, (rest) => rest.readUInt32LE(0)) };
    });
  }

  /** @internal */
  async open(): Promise<this> {
    await this.#session.get();
    return this;
  }

  /** Locks. Rejects with TimeoutError, `signal.reason`, OwnerDiedError, or ClosedError when the connection ends. */
  async lockAsync(options?: AsyncWaitOptions): Promise<this> {
    await this.#wait(LOCK, `lock of mutex "${this.name}"`, options, () => {});
    return this;
  }

  /** Unlocks; resolves when others can lock. Rejects with NotOwnerError when this client does not hold it. */
  unlock(): Promise<void> {
    return this.#tell(UNLOCK);
  }

  /** Runs `fn` under the lock; unlocks when its promise is settled. */
  async withAsync<R>(fn: () => R | Promise<R>, options?: AsyncWaitOptions): Promise<R> {
    await this.lockAsync(options);
    try {
      return await fn();
    } finally {
      await this.unlock();
    }
  }

  /**
   * After OwnerDiedError: locks, runs `repair`, which puts what the lock guards in order, and unlocks; from then on everybody can
   * lock again. When `repair` throws, so does this, and the owner still counts as dead.
   */
  async recoverAsync<R>(repair: () => R | Promise<R>, options?: AsyncWaitOptions): Promise<R> {
    const read = (rest: Buffer) => rest.readUInt32LE(0) === 1;
    const hadDied = await this.#wait(RECOVER, `recover of mutex "${this.name}"`, options, read);
    let result: R;
    try {
      result = await repair();
    } catch (error) {
      await this.#tell(hadDied ? FORSAKE : UNLOCK);
      throw error;
    }
    await this.unlock();
    return result;
  }

  #wait<R>(kind: number, what: string, options: AsyncWaitOptions | undefined, read: (rest: Buffer) => R): Promise<R> {
    return this.#connector.within(what, options, (signal) =>
      this.#session.run(signal, ({ link, object }) => link.wait(link.start(kind, { object }), read, signal)),
    );
  }

  #tell(kind: number): Promise<void> {
    return this.#session.run(undefined, ({ link, object }) => link.ask(kind, { object }, () => {}));
  }
}
