/**
 * The ground that virtual threads stand on: one page of shared memory laid out as a region, and what each word of it is.
 */
import {
  REGION_BYTES,
  REGION_DEATHS,
  REGION_PIECES_AT,
  REGION_TABLE_AT,
  REGION_THREADS,
  REGION_THREADS_AT,
  REGION_UNITS,
  REGION_WORDS,
  THREAD_BATCH,
  THREAD_BYTES,
  THREAD_CLAIM,
  THREAD_GENERATION,
  THREAD_MAIL,
  THREAD_PARK,
  THREAD_WAIT_OBJECT,
  THREAD_WAIT_TICKET,
} from '../../../lib/kernel/layout.ts';
import { LOCALS_BYTES } from './instrument.ts';

/** Virtual threads at the most, the one that repairs included. */
export const THREADS = 8;
const PAGE = 65536;
const BATCH_BYTES = 64; // of a thread's record: its batch has room for 8 payloads here
const STACK_AT = THREAD_BATCH + BATCH_BYTES; // in the rest of it asyncify keeps a thread's locals while it is not running
const STACK = 1024; // bytes
const OBJECTS_AT = REGION_BYTES + THREADS * THREAD_BYTES;

/** What a word is to the threads. */
export const SHARED = 0; // each access is a step
export const CONSTANT = 1; // nobody writes it any more
export const PRIVATE = 2; // + slot: only that thread touches it
export const UNWATCHED = 255; // counters: several change it, and nobody looks

/** A part of the memory with a name. */
export interface Field {
  readonly name: string;
  readonly at: number;
  readonly bytes: number;
  /** Why a data race on it does no harm. */
  readonly benign?: string;
}

export class Ground {
  readonly memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  readonly i32: Int32Array = new Int32Array(this.memory.buffer);
  readonly roles: Uint8Array = new Uint8Array(PAGE / 4);
  readonly fields: Field[] = [];
  /** Where the next object goes. */
  #free = OBJECTS_AT;

  constructor() {
    this.roles.fill(CONSTANT, 0, REGION_BYTES / 4);
    this.set(REGION_THREADS, THREADS);
    this.set(REGION_WORDS, 1);
    this.set(REGION_THREADS_AT, REGION_BYTES);
    for (let slot = 0; slot < THREADS; slot++) {
      const record = this.record(slot);
      this.set(record + THREAD_CLAIM, slot + 1);
      this.name({ name: `park word ${slot}`, at: record + THREAD_PARK, bytes: 4 });
      this.roles.fill(PRIVATE + slot, (record + THREAD_MAIL) >> 2, (record + STACK_AT) >> 2);
      this.roles.fill(SHARED, (record + THREAD_WAIT_OBJECT) >> 2, (record + THREAD_BATCH) >> 2);
    }
  }

  /** The region has so many slots, and only the threads in the slots `supervisors` write the claims on them and count the dead. */
  slots(count: number, supervisors: readonly number[]): void {
    this.set(REGION_THREADS, count);
    this.#unwatched(REGION_DEATHS, REGION_BYTES - REGION_DEATHS);
    const [first = 0, ...others] = supervisors;
    for (let slot = 0; slot < THREADS; slot++) {
      for (const at of [THREAD_CLAIM, THREAD_GENERATION])
        this.roles[(this.record(slot) + at) >> 2] = others.length > 0 ? SHARED : PRIVATE + first;
    }
  }

  /** Nobody looks at what the threads publish of their waits. */
  withoutWaits(): void {
    for (let slot = 0; slot < THREADS; slot++) this.#unwatched(this.record(slot) + THREAD_WAIT_TICKET, 8);
  }

  #unwatched(at: number, bytes: number): void {
    this.roles.fill(UNWATCHED, at >> 2, (at + bytes) >> 2);
  }

  record(slot: number): number {
    return REGION_BYTES + slot * THREAD_BYTES;
  }

  /** Where asyncify keeps the locals of a thread, its globals before them. */
  stack(slot: number): { locals: number; start: number; end: number } {
    const locals = this.record(slot) + STACK_AT;
    return { locals, start: locals + LOCALS_BYTES, end: locals + STACK };
  }

  get(address: number): number {
    return this.i32[address >> 2] as number;
  }

  set(address: number, value: number): void {
    this.i32[address >> 2] = value;
  }

  /** The address of `bytes` that nobody uses, in line with 128. */
  take(bytes: number): number {
    const at = this.#free;
    this.#free += Math.ceil(bytes / 128) * 128;
    if (this.#free > PAGE) throw new RangeError(`no ${bytes} bytes are left for a scenario`);
    return at;
  }

  /** A piece table for so many units, one free piece: where it lies and where its pieces do. */
  pieces(units: number, unit: number): { table: number; pieces: number } {
    const table = this.take(units * 8);
    const pieces = this.take(units * unit);
    this.set(REGION_UNITS, units);
    this.set(REGION_TABLE_AT, table);
    this.set(REGION_PIECES_AT, pieces);
    return { table, pieces };
  }

  constant(at: number, bytes: number): void {
    this.roles.fill(CONSTANT, at >> 2, (at + bytes) >> 2);
  }

  shared(at: number, bytes: number): void {
    this.roles.fill(SHARED, at >> 2, (at + bytes) >> 2);
  }

  private(at: number, bytes: number, slot: number): void {
    this.roles.fill(PRIVATE + slot, at >> 2, (at + bytes) >> 2);
  }

  name(field: Field): void {
    this.fields.push(field);
  }

  fieldAt(address: number): Field | undefined {
    return this.fields.findLast(({ at, bytes }) => address >= at && address < at + bytes);
  }

  /** Copies what the scenario uses. */
  save(into: Int32Array = new Int32Array(this.#free >> 2)): Int32Array {
    into.set(this.i32.subarray(0, this.#free >> 2));
    return into;
  }

  restore(saved: Int32Array): void {
    this.i32.set(saved);
  }
}
