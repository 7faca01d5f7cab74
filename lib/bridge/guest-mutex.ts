import { InvalidHandleError, NotOwnerError, OwnerDiedError } from '../memory/errors.ts';
import type { Mutex } from '../sync/mutex.ts';
import type { Answers } from './answers.ts';

/** A mutex as one client uses it. For the region its owner is the thread that serves. */
export class GuestMutex {
  readonly #mutex: Mutex;
  readonly #client: Answers;
  #held = false;

  constructor(mutex: Mutex, client: Answers) {
    this.#mutex = mutex;
    this.#client = client;
  }

  lock(request: number): void {
    const lock = (signal: AbortSignal) => this.#mutex.lockAsync({ signal }).then(() => this.#keep(false));
    this.#client.wait(request, lock, () => this.#client.answer(request));
  }

  /** As `lock`; takes the lock also from an owner that has died, and says so. */
  recover(request: number): void {
    const recover = (signal: AbortSignal) => this.#lockOrRecover(signal).then((died) => this.#keep(died));
    this.#client.wait(request, recover, (died) => this.#client.answer(request, { word: Number(died) }));
  }

  async #lockOrRecover(signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (this.#mutex.tryRecover()) return true;
      try {
        await this.#mutex.lockAsync({ signal });
        return false;
      } catch (error) {
        if (!(error instanceof OwnerDiedError)) throw error;
      }
    }
  }

  /** The lock is the client's; if it is gone it never knew, and the lock is as it was. */
  #keep(died: boolean): boolean {
    if (!this.#client.gone) this.#held = true;
    else if (died) this.#mutex.forsake();
    else this.#mutex.unlock();
    return died;
  }

  unlock(request: number): void {
    this.#end(request, () => this.#mutex.unlock());
  }

  forsake(request: number): void {
    this.#end(request, () => this.#mutex.forsake());
  }

  #end(request: number, end: () => void): void {
    try {
      if (!this.#held) throw new NotOwnerError(`this client cannot unlock ${this.#mutex.title}: it does not hold it`);
      this.#held = false;
      end();
      this.#client.answer(request);
    } catch (error) {
      this.#client.fail(request, error);
    }
  }

  /** The client is gone: what the lock guards may be half changed. */
  leave(): void {
    if (!this.#held) return;
    this.#held = false;
    try {
      this.#mutex.forsake();
    } catch (error) {
      if (!(error instanceof InvalidHandleError)) throw error;
    }
  }
}
