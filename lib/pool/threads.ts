import type { Transferable, Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { PoolTimes } from './histogram.ts';

export type PiscinaOptions = NonNullable<ConstructorParameters<typeof Piscina>[0]>;

/** One call of `pool.run`. */
export interface Task {
  /** The exported function. */
  readonly name: string;
  /** Names the call in errors. */
  readonly what: string;
  readonly payload: unknown;
  readonly transferList: readonly Transferable[];
  /** Its abort takes the task out of the queue, or tells the function that runs. */
  readonly signal: AbortSignal | undefined;
  /** Whether it ends the thread of the function then. */
  readonly terminate: boolean;
  /** The payload is a list, and the function runs on each of its items; then `run` gives a `Batch`. */
  readonly many?: boolean;
  /** Called when the task has settled. */
  readonly clear?: () => void;
}

/** Why a task of many items gave nothing: it was not sent, since no record carries it all; or its thread died in one of them. */
export class NoBatch {
  /** How many items may have been run, and are not to be run again. */
  readonly begun: number;
  readonly reason: unknown;

  constructor(begun: number, reason?: unknown) {
    this.begun = begun;
    this.reason = reason;
  }
}

/** How the tasks of a pool reach its threads. */
export interface Carrier {
  /** Rejects with what the function threw, or with the reason why it was not run or not ended. */
  run(task: Task): Promise<unknown>;
  /** Whether it can run tasks of many items. */
  readonly takesMany: boolean;
  /** Tasks that no thread has begun. */
  readonly queued: number;
  /** Threads that run nothing. */
  readonly idle: number;
  /** Tasks that are with the threads, those too that nobody waits for any more. */
  readonly open: number;
  readonly runTime: PoolTimes | undefined;
  readonly waitTime: PoolTimes | undefined;
  /** Nothing more will come: `listener.idle()` is called when nothing is open. */
  finish(): void;
  /** Terminates whatever runs. */
  end(): Promise<void>;
}

/** What a carrier tells its pool. */
export interface Listener {
  /** A task has settled that was not of many items. */
  settled(fulfilled: boolean): void;
  /** Nothing is open just now. */
  idle(): void;
  /** A thread is gone that may have run a task. */
  exited(thread: number): void;
}

/** Who hears of the threads. */
export interface Witness {
  /** Whether somebody waits for a thread. */
  isWanted(): boolean;
  /** A thread is gone. `uncaught`: by an error that it did not catch. */
  exited(thread: number, cause: unknown, uncaught: boolean): void;
}

/**
 * The threads of a pool: piscina starts, watches and replaces them. Here is what has to be added, so that no thread is forgotten
 * and nobody waits for one that never starts.
 */
export class Threads {
  readonly piscina: Piscina;
  readonly #witness: Witness;
  /** Each thread, until it has exited. */
  readonly #exits = new Map<Worker, Promise<void>>();
  #ending = false;

  constructor(options: PiscinaOptions, witness: Witness) {
    this.#witness = witness;
    this.piscina = new Piscina(options);
    this.watch();
    // A thread is given its first task after this event only, but for those that were there at once.
    this.piscina.on('workerCreate', () => this.watch());
    this.piscina.on('workerDestroy', () => queueMicrotask(() => this.#giveUpIfNoneStarts()));
  }

  /** Looks for threads that were started meanwhile. */
  watch(): void {
    for (const worker of this.piscina.threads)
      if (!this.#exits.has(worker)) this.#exits.set(worker, this.#exit(worker));
  }

  #exit(worker: Worker): Promise<void> {
    const id = worker.threadId; // At its exit the worker has forgotten it.
    let error: { cause: unknown } | undefined;
    worker.once('error', (cause) => {
      error = { cause };
    });
    return new Promise((resolve) => {
      worker.once('exit', (code) => {
        this.#exits.delete(worker);
        const cause = error ? error.cause : new Error(`worker exited with code: ${code}`);
        this.#witness.exited(id, cause, error !== undefined);
        resolve();
      });
    });
  }

  /** Ends the thread wherever it is. */
  terminate(thread: number): void {
    for (const worker of this.#exits.keys()) if (worker.threadId === thread) void worker.terminate();
  }

  /**
   * Terminates all of them. More than one round, since piscina replaces a thread that was terminated before and exits only
   * now. A round waits for those that it has terminated and for no others: nothing ends a thread that came meanwhile, and idle
   * ones do not keep the process running.
   */
  async end(): Promise<void> {
    this.#ending = true;
    while (this.piscina.threads.length > 0 || this.#exits.size > 0) {
      const exits = [...this.#exits.values()];
      await this.piscina.destroy();
      await Promise.all(exits);
    }
  }

  /** piscina stops to replace threads once one died while it started, and would leave the queue waiting. */
  #giveUpIfNoneStarts(): void {
    if (this.#ending) return; // A second `destroy` would make piscina replace what the first one ends.
    if (this.piscina.threads.length === 0 && this.#witness.isWanted()) void this.piscina.destroy();
  }
}
