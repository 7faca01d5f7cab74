/**
 * Region: the memory that threads share, and the threads that use it.
 *
 * One `WebAssembly.Memory`, its pages committed by the operating system as they are touched. Layout: ../kernel/layout.ts;
 * allocation: ../kernel/pieces.ts.
 */
import { channel } from 'node:diagnostics_channel';
import * as worker from 'node:worker_threads';
import {
  FREE,
  KIND_ARRAY,
  MAGIC,
  MAX_THREADS,
  OBJECT_HEADER,
  OBJECT_KIND,
  OBJECT_NAME,
  OBJECT_SERIAL,
  REGION_BYTES,
  REGION_ID,
  REGION_MAGIC,
  REGION_PIECES_AT,
  REGION_TABLE_AT,
  REGION_THREADS,
  REGION_THREADS_AT,
  REGION_UNITS,
  REGION_VERSION,
  REGION_WORDS,
  THREAD_BYTES,
  THREAD_REPAIRS,
  UNIT,
  VERSION,
} from '../kernel/layout.ts';
import { InvalidHandleError, requireInteger, show } from './errors.ts';
import { type Kernel, loadKernel } from './kernel.ts';
import { KINDS, type Repairs, readName, repairsAt, writeName } from './kinds.ts';
import { takeSnapshot } from './look.ts';
import { Pieces } from './pieces.ts';
import type { PoolSnapshot, RegionSnapshot } from './snapshot.ts';
import { bury, endedWith, type Ward } from './supervisor.ts';
import { ThreadTable } from './thread-table.ts';
import { Parker } from './wait.ts';

const { isMainThread, threadId } = worker;
const PAGE = 65536;
const MAX_BYTES = 2 ** 31 - PAGE; // addresses are signed 32-bit numbers
const DEFAULT_BYTES = 64 * 1024 * 1024;
const DEFAULT_THREADS = 64;

/** A thread of a region has ended, and is buried; also a message on the channel `ringfence:death` of `node:diagnostics_channel`. */
export interface Death {
  readonly region: Region;
  /** Node's `threadId`. */
  readonly thread: number;
  readonly slot: number;
  readonly name: string;
  /** What it left behind, and how many of each; nothing when it was in the middle of nothing. */
  readonly repairs: Repairs;
}

const deaths = channel('ringfence:death');

/** A constructor of standard typed arrays. */
export interface TypedArrayConstructor<T extends ArrayBufferView = ArrayBufferView> {
  new (buffer: SharedArrayBuffer, byteOffset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
}

/** Where an object lies, and which object it is. */
export interface Place {
  readonly region: Region;
  readonly offset: number;
  readonly serial: number;
}

/** Options of `new Region`. */
export interface RegionOptions {
  /** Size, rounded up to 64 KiB; costs address space only, until it is used. 64 MiB by default, at most 2 GiB - 64 KiB. */
  bytes?: number;
  /** How many threads may use it at the same time, 1 to 512; 64 by default. */
  threads?: number;
}

/** Regions of this thread by their id; held weakly, an object holds its region. */
const attached = new Map<number, WeakRef<Region>>();
/** A thread of this process has ended: repairs all regions of this thread that it used. */
export function threadEnded(thread: number): void {
  for (const held of attached.values()) held.deref()?.threadExited(thread);
}

const supervised = new WeakSet<worker.Worker>();

/**
 * Repairs the regions of this thread when the worker ends, whether it returned, crashed, or was terminated in the middle of
 * something: its locks become those of an owner who died (`OwnerDiedError`, `recover`), its reads and permits go back, a
 * barrier that it waited at breaks, its pipes' ends close, memory that it was filling is freed, and nobody waits for it for
 * ever. The same for the workers of that worker, which end with it. A `Pool` does this for its own threads. Needs the event
 * loop of the calling thread. Calling it twice is fine.
 *
 * Throws TypeError for what is no worker that runs.
 *
 * @example
 * const worker = new Worker(url, { workerData: share({ queue }) });
 * supervise(worker);
 */
export function supervise(thread: worker.Worker): void {
  const id = thread instanceof worker.Worker ? thread.threadId : -1;
  if (id < 0) throw new TypeError(`worker must be a Worker that runs: got ${show(thread)}`);
  if (supervised.has(thread)) return;
  supervised.add(thread);
  thread.once('exit', () => threadEnded(id));
}

/** Regions that this worker leaves when it exits. */
const joined = new Set<Region>();
let current: Region | undefined;
/**
 * Memory that threads share; everything else in this library lives in one. Most programs use `Region.current` only.
 *
 * @example
 * const region = new Region({ bytes: 16 * 1024 * 1024, threads: 8 });
 * const counters = region.array(Int32Array, 100);
 */
export class Region {
  /** @internal */ readonly memory: WebAssembly.Memory;
  /** @internal */ readonly kernel: Kernel;
  /** @internal */ readonly i32: Int32Array;
  /** @internal */ readonly f64: Float64Array;
  /** @internal */ readonly i64: BigInt64Array;
  /** @internal */ readonly buffer: Buffer;
  /** @internal */ readonly id: number;
  /** @internal */ readonly threads: ThreadTable;
  /** @internal This thread's slot in the threads table. */ readonly slot: number;
  /** @internal Address of its record. */ readonly record: number;
  /** @internal */ readonly parker: Parker;
  /** @internal */ readonly pieces: Pieces;
  readonly #mourners = new Set<(death: Death) => void>();
  /** @internal What the pools of this thread show of themselves. */ readonly pools = new Set<() => PoolSnapshot>();

  /**
   * Reserves the memory and takes a slot of its threads table for the calling thread.
   * Throws RangeError or TypeError for a size or a number of threads that is not allowed.
   */
  constructor(options?: RegionOptions);
  /** @internal */
  constructor(memory: WebAssembly.Memory);
  constructor(options: RegionOptions | WebAssembly.Memory = {}) {
    this.memory = options instanceof WebAssembly.Memory ? options : reserve(options);
    const { buffer } = this.memory;
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.buffer = Buffer.from(buffer);
    this.kernel = loadKernel(this.memory);
    this.id = this.i32[REGION_ID >> 2] ?? 0;
    this.threads = new ThreadTable(this.kernel, this.i32, this.buffer);
    this.slot = this.threads.join();
    if (!isMainThread) this.#leaveAtExit();
    this.record = this.threads.recordOf(this.slot);
    this.parker = new Parker(this.kernel, this.i32, this.threads.at, this.threads.slots, this.slot);
    this.pieces = new Pieces(this.kernel, this.i32, this.parker, this.slot);
    attached.set(this.id, new WeakRef(this));
    if (!isMainThread) current ??= this;
  }

  /** The region of this thread's objects by default: in a worker the first one that was attached. Made when first asked for. */
  static get current(): Region {
    current ??= new Region();
    return current;
  }

  /** @internal The region of a memory in this thread. Throws InvalidHandleError when it is none, or of another version. */
  static of(memory: WebAssembly.Memory): Region {
    const shared = memory instanceof WebAssembly.Memory && memory.buffer instanceof SharedArrayBuffer;
    if (!shared || memory.buffer.byteLength < PAGE) {
      throw new InvalidHandleError(`not a region: ${show(memory)} is no shared memory of WebAssembly`);
    }
    const header = new Int32Array(memory.buffer, 0, REGION_BYTES / 4);
    const id = header[REGION_ID / 4] ?? 0;
    if (header[REGION_MAGIC / 4] !== MAGIC) throw new InvalidHandleError('not a region: its first word is not of one');
    if (header[REGION_VERSION / 4] !== VERSION) {
      throw new InvalidHandleError(`a region of layout ${header[REGION_VERSION / 4]}, this library has ${VERSION}`);
    }
    return Region.known(id) ?? new Region(memory);
  }

  /** @internal The region with this id, if this thread uses it. */
  static known(id: number): Region | undefined {
    return attached.get(id)?.deref();
  }

  /** @internal The region of this thread whose memory that is. */
  static owning(buffer: SharedArrayBuffer): Region | undefined {
    for (const held of attached.values()) {
      const region = held.deref();
      if (region && (region.memory.buffer as unknown) === buffer) return region;
    }
    return undefined;
  }

  /** Size in bytes. */
  get bytes(): number {
    return this.memory.buffer.byteLength;
  }

  /** Bytes that objects, arrays and long messages take just now; other threads may change it meanwhile. */
  get used(): number {
    return this.pieces.used;
  }

  /**
   * What the region is like just now: its threads and what they wait for, its locks, queues and other objects, and the
   * pools of this thread. Does not block, stops nobody, and never throws; meanwhile the others go on, so its parts may be of
   * slightly different times, and what is made or freed just then may be left out. See `formatSnapshot`.
   *
   * @example
   * const { threads } = Region.current.inspect();
   * const waiting = threads.filter(({ waits }) => waits.some(({ since }) => since && Date.now() - since > 1000));
   */
  inspect(): RegionSnapshot {
    const { kernel, buffer, pools } = this;
    return takeSnapshot({ kernel, buffer, pools, graph: this.parker.graph });
  }

  /**
   * A zeroed typed array in the region, aligned to 64 bytes; post it, or nest it in what you share: every thread sees the
   * same elements. Throws RegionFullError.
   */
  array<T extends ArrayBufferView>(type: TypedArrayConstructor<T>, length: number): T {
    if (typeof type !== 'function' || typeof type.BYTES_PER_ELEMENT !== 'number') {
      throw new TypeError(`type must be a typed array constructor: got ${show(type)}`);
    }
    requireInteger('length', length, 0, MAX_BYTES);
    const { offset } = this.create(KIND_ARRAY, OBJECT_HEADER + length * type.BYTES_PER_ELEMENT, type.name);
    return new type(this.memory.buffer as unknown as SharedArrayBuffer, offset + OBJECT_HEADER, length);
  }

  /** @internal Makes an object: `build` writes its words before anybody can see it. */
  create(kind: number, bytes: number, name: string, build?: (offset: number, serial: number) => void): Place {
    const unit = this.pieces.claim(bytes, true);
    if (unit < 0) throw this.pieces.full(bytes);
    const offset = this.kernel.pieceAt(unit);
    const serial = this.kernel.nextSerial();
    this.i32[(offset + OBJECT_KIND) >> 2] = kind;
    this.i32[(offset + OBJECT_SERIAL) >> 2] = serial;
    writeName(this.buffer, offset + OBJECT_NAME, name);
    build?.(offset, serial);
    this.kernel.pieceSeal(unit);
    return { region: this, offset, serial };
  }

  /** @internal Checks that an object of this kind lives there. */
  find(kind: number, offset: number, serial: number): Place {
    const at = offset >> 2;
    if (!this.pieces.isUsed(offset) || serial === 0 || this.i32[at + OBJECT_KIND / 4] !== kind) {
      throw new InvalidHandleError(`no object of kind ${kind} at offset ${offset}: the handle is forged or stale`);
    }
    this.check({ region: this, offset, serial });
    return { region: this, offset, serial };
  }

  /** @internal Throws InvalidHandleError when the object was freed. */
  check(place: Place): void {
    if (this.i32[(place.offset + OBJECT_SERIAL) >> 2] !== place.serial) {
      throw new InvalidHandleError(`the object at offset ${place.offset} was freed`);
    }
  }

  /** @internal Frees an object: its memory returns to the region, and whoever waits for it learns that. */
  free(place: Place): void {
    this.check(place);
    const kind = this.pieces.kindAt(place.offset);
    const sets = (KINDS[kind]?.sets ?? []).map((set) => place.offset + set);
    this.i32[(place.offset + OBJECT_SERIAL) >> 2] = 0;
    KINDS[kind]?.kill?.(this.kernel, place.offset);
    const freed = new InvalidHandleError(`the object at offset ${place.offset} was freed`);
    for (const set of sets) this.parker.rejectAll(set, freed);
    for (const set of sets) this.parker.wakeAll(set);
    this.pieces.release(this.pieces.unitOf(place.offset));
  }

  /** @internal */
  nameAt(offset: number): string {
    return readName(this.buffer, offset + OBJECT_NAME);
  }

  /**
   * @internal A thread of this process has ended, and its workers with it, unless that is the calling one: what they left
   * behind is repaired, and their slots become free. What the thread itself left, when it used the region and nobody else
   * repairs it.
   */
  threadExited(thread: number, failed = false): Repairs | undefined {
    const repairs = this.#bury(thread, failed);
    if (thread !== threadId) for (const claim of endedWith(this.#ward(), thread + 1)) this.threadExited(claim - 1);
    return repairs;
  }

  #bury(thread: number, failed: boolean): Repairs | undefined {
    const slot = this.threads.slotOf(thread);
    if (slot < 0) return this.#hearOf(thread);
    const name = this.threads.nameOf(slot);
    const repairs = bury({ ...this.#ward(), failed }, slot, thread + 1);
    if (repairs) this.#announce({ region: this, thread, slot, name, repairs });
    return repairs;
  }

  /** A thread that could do so has buried itself; undefined, since there was nothing to repair. */
  #hearOf(thread: number): undefined {
    for (const slot of this.threads.hearOf(thread)) {
      const repairs = repairsAt(this.kernel, this.threads.recordOf(slot) + THREAD_REPAIRS);
      this.#announce({ region: this, thread, slot, name: this.threads.nameOf(slot), repairs });
    }
  }

  #announce(death: Death): void {
    if (deaths.hasSubscribers) deaths.publish(death);
    for (const listener of this.#mourners) {
      try {
        listener(death);
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  /**
   * Calls `listener` for each thread that died, when what it left is repaired: after its `exit`, in the thread whose `Pool` it
   * belonged to or which called `supervise` for it. A worker that ends in good order is no death. Stops when what is returned
   * is disposed. What a listener throws becomes an uncaught exception, and the others are called. `inspect()` has the
   * sums, in every thread. Throws TypeError for what is no function.
   *
   * @example
   * const watch = Region.current.onDeath(({ name, repairs }) => console.error(`${name} died`, repairs));
   * watch[Symbol.dispose](); // no more
   */
  onDeath(listener: (death: Death) => void): Disposable {
    if (typeof listener !== 'function') throw new TypeError(`listener must be a function: got ${show(listener)}`);
    const mourner = (death: Death) => listener(death); // one function may be given twice
    this.#mourners.add(mourner);
    return { [Symbol.dispose]: () => void this.#mourners.delete(mourner) };
  }

  #ward(): Ward {
    const { kernel, i32, parker, slot } = this;
    return {
      ...{ kernel, i32, parker, slot },
      recordOf: (other) => this.threads.recordOf(other),
      objects: () => this.pieces.objects(),
      pieces: () => this.pieces.walk(),
      release: (unit) => this.pieces.release(unit),
    };
  }

  #leaveAtExit(): void {
    if (joined.size === 0) {
      process.once('exit', (code) => {
        for (const region of joined) region.threadExited(threadId, code !== 0);
      });
    }
    joined.add(this);
  }
}

function reserve(options: RegionOptions): WebAssembly.Memory {
  const { bytes = DEFAULT_BYTES, threads = DEFAULT_THREADS } = options;
  requireInteger('threads', threads, 1, MAX_THREADS);
  const least = REGION_BYTES + threads * THREAD_BYTES + PAGE;
  requireInteger('bytes', bytes, least, MAX_BYTES);
  const pages = Math.ceil(bytes / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  writeHeader(new Int32Array(memory.buffer), pages * PAGE, threads);
  return memory;
}

function writeHeader(i32: Int32Array, bytes: number, threads: number): void {
  const threadsAt = REGION_BYTES;
  const tableAt = threadsAt + threads * THREAD_BYTES;
  const units = Math.floor((bytes - tableAt - UNIT) / (UNIT + 8));
  const piecesAt = Math.ceil((tableAt + units * 8) / UNIT) * UNIT;
  const header: Record<number, number> = {
    [REGION_MAGIC]: MAGIC,
    [REGION_VERSION]: VERSION,
    [REGION_ID]: 1 + Math.floor(Math.random() * (2 ** 31 - 1)),
    [REGION_THREADS]: threads,
    [REGION_WORDS]: Math.ceil(threads / 64),
    [REGION_THREADS_AT]: threadsAt,
    [REGION_TABLE_AT]: tableAt,
    [REGION_PIECES_AT]: piecesAt,
    [REGION_UNITS]: units,
  };
  for (const [offset, value] of Object.entries(header)) i32[Number(offset) >> 2] = value;
  // the first word of the table: one free piece of all units
  i32[tableAt >> 2] = units;
  i32[(tableAt >> 2) + 1] = FREE;
}
