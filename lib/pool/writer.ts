import {
  AS_MESSAGE,
  NOT_ENDED,
  TASK_ALONE,
  TASK_FORM,
  TASK_LONG,
  TASK_MANY,
  TASK_MODE,
  TASK_NAME,
  TASK_NAMES,
  TASK_PROGRESS,
  TASK_QUEUED,
  TASK_STATE,
  TASK_STATUS,
} from '../kernel/layout.ts';
import { CodecError } from '../memory/errors.ts';
import { isMoved, sendable } from './message.ts';
import { notRun } from './posted.ts';
import type { Table } from './table.ts';
import { NoBatch, type Task } from './threads.ts';

/** Writes tasks into their records: what no record carries goes by message, once a thread asks for it. */
export class Writer {
  readonly #table: Table;
  readonly #names = new Map<string, number>();

  constructor(table: Table) {
    this.#table = table;
  }

  /** Throws TaskError when neither record nor message carries the payload, and NoBatch when no record carries a batch. */
  write(number: number, task: Task): void {
    const { name, payload, transferList, terminate, many } = task;
    const record = this.#table.record(number);
    const { i32 } = this.#table.region;
    let place = this.#names.get(name);
    if (place === undefined) place = this.#place(name);
    i32[(record + TASK_NAME) >> 2] = place;
    i32[(record + TASK_MODE) >> 2] = (terminate ? TASK_ALONE : 0) | (many ? TASK_MANY : 0);
    i32[(record + TASK_PROGRESS) >> 2] = 0;
    i32[(record + TASK_STATUS) >> 2] = NOT_ENDED;
    const fits = place >= 0 && transferList.length === 0 && !isMoved(payload);
    if (!fits || !this.#carries(record, task)) {
      if (many) throw new NoBatch(0);
      i32[(record + TASK_FORM) >> 2] = AS_MESSAGE;
    }
    i32[(record + TASK_STATE) >> 2] = TASK_QUEUED;
  }

  /** The place of a name in the table; -1 when it has none: then it goes by message. */
  #place(name: string): number {
    const place = this.#names.size;
    if (place === TASK_NAMES || !this.#table.writeName(place, name)) return -1;
    this.#names.set(name, place);
    return place;
  }

  /** Whether the record carries the payload; if not, a message does. Throws TaskError when nothing can. */
  #carries(record: number, { payload, many, what }: Task): boolean {
    try {
      return this.#table.write(record, TASK_LONG, payload);
    } catch (error) {
      if (many) throw new NoBatch(0);
      if (!(error instanceof CodecError)) throw error;
      const carried = sendable(payload);
      if ('refusal' in carried) throw notRun(what, carried.refusal);
      return false;
    }
  }
}
