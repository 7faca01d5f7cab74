import type { Worker } from 'node:worker_threads';
import { ThreadDiedError } from '../memory/errors.ts';
import { attach, type Shared } from '../memory/handles.ts';
import type { AsyncWaitOptions } from '../memory/wait.ts';
import { within } from './deadline.ts';
import { isFailure, unpack } from './failure.ts';
import type { Report } from './worker.ts';

/**
 * One function on a thread of its own, started by `pool.spawn`: what `Process(target, args).start()` is in Python.
 *
 * The thread ends when its function has settled, and with it every timer and socket that the function left open.
 * Until then it keeps the process running. An error that nobody joins is not reported anywhere else.
 *
 * @example
 * const cook = pool.spawn('cook', queue, 10);
 * await cook.join();
 */
export class Thread<R = unknown> {
  /** `threadId` of its worker; it stays when the thread has ended. */
  readonly id: number;
  readonly #worker: Worker;
  readonly #what: string;
  readonly #result: Promise<R>;
  #alive = true;
  #report: Report['ringfenceReport'] | undefined;
  #uncaught: unknown;

  /** @internal `pool.spawn` makes threads; `ended` runs before anybody who joined hears of the end. */
  constructor(worker: Worker, what: string, ended: () => void) {
    this.id = worker.threadId;
    this.#worker = worker;
    this.#what = what;
    worker.on('message', (message: unknown) => {
      if (isReport(message)) this.#report = message.ringfenceReport;
    });
    worker.once('error', (error) => {
      this.#uncaught = error;
    });
    this.#result = new Promise<number>((resolve) => worker.once('exit', resolve)).then((code) => {
      this.#alive = false;
      ended();
      return this.#conclude(code);
    });
    // Whoever joins gets the error; without anybody it must not be an unhandled rejection, which ends the process.
    this.#result.catch(() => {});
  }

  /** Whether the thread still runs. Stale as soon as it is read. */
  get alive(): boolean {
    return this.#alive;
  }

  /**
   * Resolves with what the function returned, when its thread has ended. Does not block; any number of callers may
   * join.
   *
   * Rejects with what the function threw; with `ThreadDiedError` if the thread ended before its function (`terminate`,
   * `process.exit`, an error thrown in a callback, which is then its `cause`); with `TaskError` if the module or the
   * function does not load or the result cannot be cloned; with `TimeoutError` or `signal.reason`, and then the thread
   * goes on.
   */
  async join(options: AsyncWaitOptions = {}): Promise<R> {
    return within(this.#result, `join of ${this.#what}`, options);
  }

  /** Ends the thread wherever it is; resolves when it is gone. If it held a lock, that is an owner's death. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
    await this.#result.catch(() => {});
  }

  #conclude(code: number): R {
    if (!this.#report) {
      const options = this.#uncaught === undefined ? {} : { cause: this.#uncaught };
      throw new ThreadDiedError(
        `the thread of ${this.#what} ended before its function did, with code ${code}`,
        options,
      );
    }
    const outcome = attach(this.#report as Shared<Report['ringfenceReport']>);
    if (isFailure(outcome)) throw unpack(outcome);
    return outcome.value as R;
  }
}

function isReport(message: unknown): message is Report {
  return typeof message === 'object' && message !== null && 'ringfenceReport' in message;
}
