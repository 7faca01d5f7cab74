/**
 * The tasks of a pool, in shared memory: two rings of numbers, and a record for each number.
 *
 * Run   1. the pool writes name and payload into a free record, and puts its number into the ring of tasks  2. a thread takes
 *          the number: the record is now its own  3. it changes the state from QUEUED to BEGUN by compare-exchange, reads the
 *          payload, calls the function, writes the result into the record  4. and puts the number into the ring of results
 *       5. the pool takes it, settles the promise, and frees the record
 * Abort the pool changes QUEUED to CANCELLED, or BEGUN to ABORTED, by compare-exchange
 * Bury  a task of a dead thread is BEGUN in its name; or the thread's line says that it was taken, or was just being taken:
 *       then the number is in the thread's mail, since the ring writes it there in the stretch in which it takes it
 *
 * Invariants: a record belongs to the pool, to the ring, or to one thread; a number is in one ring at the most, so neither
 * ring is ever full.
 */
import {
  AS_BYTES,
  AS_NUMBER,
  AS_PIECE,
  KIND_ARRAY,
  KIND_LONG,
  LINE_BYTES,
  LONG_BLOCK,
  OBJECT_HEADER,
  OBJECT_KIND,
  QUEUE_GETTERS,
  TASK_BYTES,
  TASK_DATA,
  TASK_FORM,
  TASK_LENGTH,
  TASK_LONG,
  TASK_NAME_BYTES,
  TASK_NAMES,
  TASK_NUMBER,
  TASK_RESULT,
  THREAD_BATCH,
  THREAD_MAIL,
  USED,
  WAKE,
} from '../kernel/layout.ts';
import { RegionFullError } from '../memory/errors.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Region } from '../memory/region.ts';
import { AnyCodec } from '../queue/any.ts';
import { codec } from '../queue/codec.ts';
import { Queue } from '../queue/queue.ts';

/** Tasks that are with the threads at the same time, at the most; the others wait in the pool. */
const MOST_TASKS = 1024;
/** What is longer than this goes by message: copying it costs more than the message. */
const LONGEST = 64 * 1024;

// What the line of a thread says of when it will look for a task.
/** Nobody knows, or it sleeps and has to be woken. */
export const AWAY = 0;
/** Just now. */
export const LOOKING = 1;
/** As soon as a tiny one has ended. */
export const SOON = 2;

/** Milliseconds since an instant that all threads share. */
const ORIGIN: number = Math.max(...Array.from({ length: 8 }, origin)); // what comes between the two clocks makes it less

function origin(): number {
  return Number(process.hrtime.bigint()) / 1e6 - performance.now();
}

export function now(): number {
  return ORIGIN + performance.now();
}

let scratch: Buffer | undefined;

/** What a task of many items gives: their results, and by their index what those threw that failed. */
export type Batch = readonly [
  values: readonly unknown[],
  failures: readonly (readonly [index: number, thrown: unknown])[],
];

/** What a thread needs to find the table; the queues cross as handles. */
export interface TableParts {
  readonly offset: number;
  readonly serial: number;
  readonly threads: number;
  readonly count: number;
  readonly tasks: Queue<number>;
  readonly results: Queue<number>;
}

/** A queue of numbers that is never full, without the waiting: who waits decides how. */
export class Ring {
  readonly queue: Queue<number>;
  /** The wait set of those who take. */
  readonly takers: number;
  readonly #kernel: Kernel;
  readonly #i32: Int32Array;
  readonly #record: number;
  readonly #mail: number;
  readonly #batch: number;
  readonly #offset: number;
  readonly #serial: number;

  constructor(queue: Queue<number>) {
    const { region, offset, serial } = queue;
    this.queue = queue;
    this.takers = offset + QUEUE_GETTERS;
    this.#kernel = region.kernel;
    this.#i32 = region.i32;
    this.#record = region.record;
    this.#mail = (region.record + THREAD_MAIL) >> 2;
    this.#batch = (region.record + THREAD_BATCH) >> 2;
    this.#offset = offset;
    this.#serial = serial;
  }

  /** Puts a number; whether somebody sleeps who could take it. */
  put(n: number): boolean {
    return this.#kernel.ringPut(this.#offset, this.#serial, n) === WAKE;
  }

  /** Takes a number, or returns NO_TASK. */
  take(): number {
    this.#i32[this.#mail] = -1;
    this.#kernel.ringGet(this.#offset, this.#serial, this.#record);
    return this.#i32[this.#mail] as number;
  }

  /** Takes as many as are there and have a place; how many. */
  takeMany(into: Int32Array): number {
    const count = this.#kernel.ringGetMany(this.#offset, this.#serial, this.#record, into.length);
    for (let i = 0; i < count; i++) into[i] = this.#i32[this.#batch + i] as number;
    return Math.max(count, 0);
  }

  get readable(): boolean {
    return this.#kernel.ringReadable(this.#offset) !== 0;
  }

  get size(): number {
    return this.#kernel.ringSize(this.#offset);
  }

  /** Whether somebody sleeps who waits for a number. */
  get awaited(): boolean {
    return this.#kernel.waiting(this.takers) !== 0;
  }
}

/** The rings and records of one pool, seen from one thread. */
export class Table {
  readonly region: Region;
  readonly tasks: Ring;
  readonly results: Ring;
  readonly count: number;
  readonly #parts: TableParts;
  readonly #codec: AnyCodec;
  readonly #names: number;
  readonly #records: number;

  constructor(parts: TableParts) {
    const { region } = parts.tasks;
    this.#parts = parts;
    this.region = region;
    this.count = parts.count;
    this.tasks = new Ring(parts.tasks);
    this.results = new Ring(parts.results);
    this.#codec = new AnyCodec(region);
    this.#names = this.line(parts.threads);
    this.#records = this.#names + TASK_NAMES * TASK_NAME_BYTES;
  }

  /** How many tasks a table in that region has. */
  static countFor(region: Region): number {
    return Math.max(16, Math.min(MOST_TASKS, Math.floor(region.bytes / (16 * TASK_BYTES))));
  }

  /** Makes one, of a size that suits the region. Throws RegionFullError, and then leaves nothing behind. */
  static create(region: Region, pool: string, threads: number): Table {
    const count = Table.countFor(region);
    const bytes = OBJECT_HEADER + threads * LINE_BYTES + TASK_NAMES * TASK_NAME_BYTES + count * TASK_BYTES;
    const place = region.create(KIND_ARRAY, bytes, `tasks of ${pool}`);
    const made: { free(): void }[] = [{ free: () => region.free(place) }];
    const queue = (what: string): Queue<number> => {
      const one = new Queue<number>({ region, capacity: count, codec: codec.u32, name: `${what} of ${pool}` });
      made.push(one);
      return one;
    };
    try {
      const [tasks, results] = [queue('tasks'), queue('results')];
      return new Table({ offset: place.offset, serial: place.serial, threads, count, tasks, results });
    } catch (error) {
      for (const one of made) one.free();
      throw error;
    }
  }

  /** What the threads need to see it. */
  get parts(): TableParts {
    return this.#parts;
  }

  /** Returns its memory; all threads must be gone. */
  free(): void {
    const { region } = this;
    const { offset, serial, tasks, results } = this.#parts;
    for (let task = 0; task < this.count; task++) this.freePieces(this.record(task));
    tasks.free();
    results.free();
    region.free({ region, offset, serial });
  }

  /** Address of the line of a thread. */
  line(place: number): number {
    return this.#parts.offset + OBJECT_HEADER + place * LINE_BYTES;
  }

  /** Whether a thread in a place before that one looks for tasks, or will do so soon. */
  isLookedAt(place: number): boolean {
    for (let before = 0; before < place; before++) if (this.look(before) !== AWAY) return true;
    return false;
  }

  look(place: number): number {
    return this.region.kernel.valueLoad(this.line(place));
  }

  /** Address of the record of a task. */
  record(task: number): number {
    return this.#records + task * TASK_BYTES;
  }

  /** Writes the name of a function; false when it is too long. */
  writeName(place: number, name: string): boolean {
    const bytes = Buffer.from(name);
    if (bytes.length >= TASK_NAME_BYTES) return false;
    const at = this.#names + place * TASK_NAME_BYTES;
    this.region.buffer[at] = bytes.length;
    bytes.copy(this.region.buffer, at + 1);
    return true;
  }

  readName(place: number): string {
    const at = this.#names + place * TASK_NAME_BYTES;
    const { buffer } = this.region;
    return buffer.toString('utf8', at + 1, at + 1 + (buffer[at] ?? 0));
  }

  /**
   * Writes a payload, or with TASK_RESULT for `long` a result; false when it must go by message. Throws what the codec throws.
   */
  write(record: number, long: typeof TASK_LONG | typeof TASK_RESULT, value: unknown): boolean {
    const { i32, f64, buffer } = this.region;
    if (typeof value === 'number') {
      f64[(record + TASK_NUMBER) >> 3] = value;
      i32[(record + TASK_FORM) >> 2] = AS_NUMBER;
      return true;
    }
    const data = record + TASK_DATA;
    const end = this.#codec.encode(value, buffer, data, record + TASK_BYTES);
    if (end < 0) return this.#writeLong(record, long, value);
    i32[(record + TASK_LENGTH) >> 2] = end - data;
    i32[(record + TASK_FORM) >> 2] = AS_BYTES;
    return true;
  }

  /** Reads a payload, or with TASK_RESULT for `long` a result. Throws what the codec throws. */
  read(record: number, long: typeof TASK_LONG | typeof TASK_RESULT): unknown {
    const { i32, f64, buffer } = this.region;
    const form = i32[(record + TASK_FORM) >> 2];
    if (form === AS_NUMBER) return f64[(record + TASK_NUMBER) >> 3];
    const at = form === AS_BYTES ? record + TASK_DATA : (i32[(record + long) >> 2] as number) + OBJECT_HEADER;
    return this.#codec.decode(buffer, at, at + (i32[(record + TASK_LENGTH) >> 2] as number));
  }

  #writeLong(record: number, long: number, value: unknown): boolean {
    const aside = scratch ?? Buffer.allocUnsafeSlow(LONGEST);
    scratch = undefined; // a getter of the value may run a task itself
    try {
      const length = this.#codec.encode(value, aside, 0, LONGEST);
      return length >= 0 && this.#piece(record, long, aside, length);
    } finally {
      scratch = aside;
    }
  }

  /** Copies into a piece of the region; false when there is no room for one. */
  #piece(record: number, long: number, from: Buffer, length: number): boolean {
    const { i32, buffer } = this.region;
    try {
      this.region.create(KIND_LONG, OBJECT_HEADER + length, '', (piece) => {
        i32[(piece + LONG_BLOCK) >> 2] = record;
        // Before the piece is sealed: until then it is its maker's, and after that the record's.
        i32[(record + long) >> 2] = piece;
        from.copy(buffer, piece + OBJECT_HEADER, 0, length);
      });
    } catch (error) {
      if (error instanceof RegionFullError) return false;
      throw error;
    }
    i32[(record + TASK_LENGTH) >> 2] = length;
    i32[(record + TASK_FORM) >> 2] = AS_PIECE;
    return true;
  }

  /** Frees the pieces of a record, which nobody uses any more. */
  freePieces(record: number): void {
    this.#freePiece(record, TASK_LONG);
    this.#freePiece(record, TASK_RESULT);
  }

  #freePiece(record: number, long: number): void {
    const { i32 } = this.region;
    const at = (record + long) >> 2;
    const piece = i32[at] as number;
    if (piece === 0) return;
    i32[at] = 0;
    if (this.#owns(record, piece)) this.region.pieces.release(this.region.pieces.unitOf(piece));
  }

  /** A thread that died may have named a piece which it had not sealed. */
  #owns(record: number, piece: number): boolean {
    const { i32, kernel } = this.region;
    if (kernel.pieceState(this.region.pieces.unitOf(piece)) !== USED) return false;
    return i32[(piece + OBJECT_KIND) >> 2] === KIND_LONG && i32[(piece + LONG_BLOCK) >> 2] === record;
  }
}
