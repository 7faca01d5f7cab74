import type { MessagePort, Transferable } from 'node:worker_threads';
import { NOT_RUN, RETURNED, TASK_ENDED, TASK_NAME, TASK_RESULT, TASK_STATUS, THREW } from '../kernel/layout.ts';
import { CodecError } from '../memory/errors.ts';
import type { Shared } from '../memory/handles.ts';
import { pack } from './failure.ts';
import { Many } from './many.ts';
import { isMoved, MOVED_VALUE, transfersOf } from './message.ts';
import type { ToPool } from './residence.ts';
import type { Table } from './table.ts';

/** What a thread does for its results. */
export interface Packer {
  /** What of a result goes into a message; throws a TaskError if nothing can carry it. */
  asMessage(result: unknown, name: string): Shared<unknown>;
  /** Waits until what was printed is with the main thread; undefined if it is already. */
  printed(): Promise<void> | undefined;
}

/** Who runs the tasks. */
export interface Runner {
  readonly timed: boolean;
  /** The task has ended; when. */
  leave(task: number): number;
  /** Until then it counts among those that run. */
  finishAfter(promise: Promise<void>, end: () => void): void;
}

/** Brings results to the pool: in the record and by the ring, or by message when no record carries them. */
export class Reporter {
  readonly #table: Table;
  readonly #port: MessagePort;
  readonly #packer: Packer;
  readonly #runner: Runner;
  /** Names of functions that came by message. */
  readonly #names = new Map<number, string>();

  constructor(table: Table, port: MessagePort, packer: Packer, runner: Runner) {
    this.#table = table;
    this.#port = port;
    this.#packer = packer;
    this.#runner = runner;
  }

  /** The name of the task's function came by message. */
  name(task: number, name: string): void {
    this.#names.set(task, name);
  }

  succeed(task: number, result: unknown): void {
    try {
      const plain = result instanceof Many ? result.plain() : result;
      const moves = result instanceof Many ? result.values.some(isMoved) : isMoved(result);
      if (!moves && this.#written(task, plain)) this.#end(task, RETURNED);
      else if (result instanceof Many) this.#postMany(task, result);
      else this.#post(task, result);
    } catch (thrown) {
      this.fail(task, thrown);
    }
  }

  fail(task: number, thrown: unknown): void {
    const failure = pack(thrown);
    if (this.#written(task, failure)) this.#end(task, THREW);
    else this.#afterPrinting(() => this.#send({ ended: task, ...failure }));
  }

  /** Nobody waits for it, or nothing could be sent. */
  giveBack(task: number): void {
    this.#publish(task, NOT_RUN);
  }

  /** Whether the record carries the value. */
  #written(task: number, value: unknown): boolean {
    try {
      return this.#table.write(this.#table.record(task), TASK_RESULT, value);
    } catch (error) {
      if (error instanceof CodecError) return false; // A message may carry it; if not, it says why.
      throw error;
    }
  }

  #post(task: number, result: unknown): void {
    const sent = this.#packer.asMessage(result, this.#nameOf(task));
    const value = isMoved(sent) ? (sent[MOVED_VALUE] as Shared<unknown>) : sent;
    this.#afterPrinting(() => this.#send({ ended: task, value }, isMoved(sent) ? transfersOf(sent) : []));
  }

  /** Results that no record carries: one that no message carries either fails by itself. */
  #postMany(task: number, many: Many): void {
    const transfers: Transferable[] = [];
    const sent = new Many(many.failures);
    for (const value of many.values) {
      try {
        const one = this.#packer.asMessage(value, this.#nameOf(task));
        if (isMoved(one)) transfers.push(...transfersOf(one));
        sent.values.push(isMoved(one) ? one[MOVED_VALUE] : one);
      } catch (thrown) {
        sent.fail(thrown);
      }
    }
    this.#afterPrinting(() =>
      this.#send({ ended: task, value: sent.plain() as unknown as Shared<unknown> }, transfers),
    );
  }

  #nameOf(task: number): string {
    const place = (this.#table.record(task) + TASK_NAME) >> 2;
    return this.#names.get(task) ?? this.#table.readName(this.#table.region.i32[place] as number);
  }

  #end(task: number, status: number): void {
    const printing = this.#packer.printed();
    if (printing) this.#runner.finishAfter(printing, () => this.#publish(task, status));
    else this.#publish(task, status);
  }

  /** A thread that is terminated loses what it has printed and not handed on: the task is not done before. */
  #afterPrinting(end: () => void): void {
    const printing = this.#packer.printed();
    if (printing) this.#runner.finishAfter(printing, end);
    else end();
  }

  #send(message: Extract<ToPool, { ended: number }>, transfers: readonly Transferable[] = []): void {
    this.#leave(message.ended);
    this.#port.postMessage(message, transfers);
  }

  #publish(task: number, status: number): void {
    this.#leave(task);
    const { results, region } = this.#table;
    region.i32[(this.#table.record(task) + TASK_STATUS) >> 2] = status;
    if (results.put(task)) region.parker.wake(results.takers);
  }

  #leave(task: number): void {
    const ended = this.#runner.leave(task);
    if (this.#runner.timed) this.#table.region.f64[(this.#table.record(task) + TASK_ENDED) >> 3] = ended;
    if (this.#names.size > 0) this.#names.delete(task);
  }
}
