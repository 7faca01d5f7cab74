/**
 * Transport: the pool's side of its tasks. See table.ts for how they travel.
 *
 * While tasks are with the threads the event loop is turned again and again for some tens of microseconds, or for LINGER; each
 * turn settles those that ended meanwhile, so many in a row and so many in all. When nothing comes it waits for the ring of
 * results, and costs nothing.
 *
 * Wake   1. a task is put into the ring  2. nobody sleeps: that is all  3. threads that are awake say in their lines that they
 *           will have taken all there is within microseconds: that is all  4. otherwise one that sleeps is woken
 * Relieve when such a thread is about to do something else it wakes another one itself; one that is held up by a function that
 *           was tiny before cannot: the pool looks after some turns without a result, before it sleeps, and before it blocks
 */
import { channel } from 'node:diagnostics_channel';
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Transferable } from 'node:worker_threads';
import { type PiscinaTask, queueOptionsSymbol } from 'piscina';
import {
  AS_MESSAGE,
  LINE_BYTES,
  LINE_SEEKING,
  LINE_SLOT,
  LINE_TAKEN,
  NO_TASK,
  NOT_ENDED,
  NOT_RUN,
  RETURNED,
  TASK_ABORTED,
  TASK_ALONE,
  TASK_BEGAN,
  TASK_BEGUN,
  TASK_CANCELLED,
  TASK_ENDED,
  TASK_FORM,
  TASK_FREE,
  TASK_LONG,
  TASK_MANY,
  TASK_MODE,
  TASK_NAME,
  TASK_NAMES,
  TASK_PHASE,
  TASK_PLACE_SHIFT,
  TASK_PROGRESS,
  TASK_QUEUED,
  TASK_RESULT,
  TASK_STATE,
  TASK_STATUS,
  THREAD_MAIL,
} from '../kernel/layout.ts';
import { CodecError, RingfenceError, TaskError } from '../memory/errors.ts';
import { attach, type Shared, share } from '../memory/handles.ts';
import type { Region } from '../memory/region.ts';
import { AGAIN } from '../memory/wait.ts';
import { type Failure, isFailure, pack, unpack } from './failure.ts';
import { Histogram, type PoolTimes } from './histogram.ts';
import { isMoved, MOVED_VALUE, sendable, transfersOf, whyNotMovable } from './message.ts';
import { notRun, threadDied, threadDiedAgain, warnOfStray } from './posted.ts';
import type { Residence, ToPool, ToThread } from './resident.ts';
import { AWAY, type Batch, now, Table } from './table.ts';
import { type Carrier, type Listener, NoBatch, type PiscinaOptions, type Task, Threads } from './threads.ts';
import { Turnstile } from './turnstile.ts';

/** Results that are settled in one turn of the event loop, at the most. */
const SETTLED_IN_A_TURN = 256;
/** Of these, settled in a row; then the code that awaited them goes on, so that threads do not run out of tasks. */
const SETTLED_IN_A_ROW = 32;
/** Turns of the event loop without a result, before it sleeps. */
const TURNS = 24;
/** Milliseconds without a result before it sleeps, if the last sleep was not much longer: more than it takes to wake a thread. */
const LINGER = 0.2;
/** After so many of them tasks that wait are given to one more thread. */
const PATIENT_TURNS = 4;
/** How many tasks a thread takes soon, by what its line says: AWAY, LOOKING, SOON. */
const TAKEN_SOON = [0, 1, Number.POSITIVE_INFINITY];
/** When so many threads died that had taken a task, it is not given to another one. */
const DEATHS_OF_A_TASK = 2;
/** When so many threads in a row die before they take tasks, what waits is rejected. */
const STILLBIRTHS = 5;

const tasksChannel = channel('ringfence:task');

/** A message on the channel `ringfence:task` of `node:diagnostics_channel`: a task has ended, well or not. */
export interface TaskEnd {
  readonly pool: string;
  /** The function. */
  readonly name: string;
  /** More than 1 for a batch of `pool.map`. */
  readonly items: number;
  readonly fulfilled: boolean;
  /** Milliseconds from `run` until a thread began it, and from there to its end; absent with `recordTiming: false`. */
  readonly waitTime?: number;
  readonly runTime?: number;
}

/** A task, from `run` until its record is free. */
interface Job {
  readonly task: Task;
  readonly since: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
  /** The number of its record. */
  number: number;
  /** Nobody waits for it any more. */
  settled: boolean;
  /** Threads that died when they had taken it and not begun it. */
  deaths: number;
}

/** A thread that takes tasks from the ring. */
interface Resident {
  readonly place: number;
  readonly port: MessagePort;
  /** Node's id of the thread, once piscina has chosen one. */
  thread: number;
  ready: boolean;
  /** It was told to end. */
  retiring: boolean;
}

export class Transport implements Carrier {
  readonly threads: Threads;
  readonly #pool: string;
  readonly #region: Region;
  readonly #listener: Listener;
  readonly #most: number;
  readonly #least: number;
  readonly #places: number;
  readonly #idleTimeout: number;
  readonly #turnstile: Turnstile;
  readonly #jobs: (Job | undefined)[] = [];
  readonly #free: number[] = [];
  /** Tasks that have ended, and how. */
  readonly #row = new Int32Array(SETTLED_IN_A_ROW);
  readonly #statuses = new Int32Array(SETTLED_IN_A_ROW);
  readonly #residents: (Resident | undefined)[];
  /** Of these, threads that were not told to end. */
  #residing = 0;
  readonly #names = new Map<string, number>();
  readonly #times: { run: Histogram; wait: Histogram } | undefined;
  #table: Table | undefined;
  #open = 0;
  #awaited = 0;
  #turning = false;
  #settled = 0;
  #quietTurns = 0;
  #quietSince = 0;
  /** The last sleep was so short that looking for that long pays. */
  #lingers = false;
  #parked = false;
  /** Ends the sleep. */
  #rest = new AbortController();
  #finishing = false;
  #ended = false;
  /** Why a thread did not start. */
  #stillborn: unknown;
  /** So many threads in a row did not start: no more than those that are there. */
  #stillbirths = 0;
  #retiring: NodeJS.Timeout | undefined;

  constructor(pool: string, region: Region, options: PiscinaOptions, listener: Listener) {
    this.#pool = pool;
    this.#region = region;
    this.#listener = listener;
    const loadBalancer: PiscinaOptions['loadBalancer'] = (task, workers) => {
      const resident = this.#residents[placeOf(task)];
      const worker = workers.find(({ id }) => !this.#residents.some((one) => one?.thread === id));
      if (!resident || !worker) return null;
      resident.thread = worker.id;
      return worker;
    };
    this.#idleTimeout = options.idleTimeout ?? 0;
    this.threads = new Threads(
      { ...options, atomics: 'disabled', idleTimeout: Number.POSITIVE_INFINITY, loadBalancer, recordTiming: false },
      {
        isWanted: () => this.#awaited > 0,
        exited: (thread, cause, uncaught) => this.#exited(thread, cause, uncaught),
      },
    );
    this.threads.piscina.on('error', () => {}); // Told by the thread itself.
    const { maxThreads, minThreads } = this.threads.piscina;
    this.#most = maxThreads;
    this.#least = minThreads;
    this.#places = this.threads.piscina.options.concurrentTasksPerWorker;
    this.#residents = new Array(maxThreads).fill(undefined);
    this.#turnstile = new Turnstile(Table.countFor(region));
    if (options.recordTiming !== false) this.#times = { run: new Histogram(), wait: new Histogram() };
  }

  /** With several tasks at the same time in a thread, a batch would keep its items from being among them. */
  get takesMany(): boolean {
    return this.#places === 1;
  }

  get open(): number {
    return this.#open;
  }

  get queued(): number {
    let queued = this.#turnstile.waiting;
    for (const job of this.#jobs) if (job && !job.settled && this.#phase(job.number) === TASK_QUEUED) queued++;
    return queued;
  }

  get idle(): number {
    const busy = new Set<number>();
    for (const job of this.#jobs) {
      const phase = job ? this.#phase(job.number) : TASK_FREE;
      if (job && (phase === TASK_BEGUN || phase === TASK_ABORTED))
        busy.add(this.#state(job.number) >> TASK_PLACE_SHIFT);
    }
    return this.threads.piscina.threads.length - busy.size;
  }

  get runTime(): PoolTimes | undefined {
    return this.#times?.run.times;
  }

  get waitTime(): PoolTimes | undefined {
    return this.#times?.wait.times;
  }

  run(task: Task): Promise<unknown> {
    this.#awaited++;
    return new Promise((resolve, reject) => {
      const since = this.#times ? now() : 0;
      const job: Job = { task, since, resolve, reject, number: NO_TASK, settled: false, deaths: 0 };
      const turn = this.#turnstile.enter(task.signal);
      // With a free place the task is on its way when `run` returns, also if this thread blocks then.
      if (turn)
        turn.then(
          () => this.#submit(job),
          (reason) => this.#refuse(job, reason),
        );
      else this.#submit(job);
    });
  }

  finish(): void {
    this.#finishing = true;
    if (this.#open > 0) this.#turn();
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#retiring);
    const cause = new Error('the pool was terminated');
    this.#turnstile.refuseAll(cause);
    await this.threads.end();
    this.#strand(cause);
    if (this.#parked) this.#rest.abort();
    this.#region.parker.blocking.delete(this.#relieve);
    this.#table?.free();
    this.#table = undefined;
  }

  // From run() to the ring.

  #submit(job: Job): void {
    if (this.#ended || job.task.signal?.aborted) {
      this.#turnstile.leave();
      this.#refuse(job, new Error('the pool was terminated'));
      return;
    }
    let number = NO_TASK;
    try {
      const table = this.#open === 0 ? this.#ready() : (this.#table as Table);
      number = this.#free.pop() as number;
      this.#write(table, number, job.task);
    } catch (reason) {
      if (number !== NO_TASK) {
        this.#table?.freePieces(this.#table.record(number));
        this.#free.push(number);
      }
      this.#turnstile.leave();
      this.#settle(job, false, reason);
      return;
    }
    job.number = number;
    this.#jobs[number] = job;
    this.#open++;
    const { signal } = job.task;
    if (signal) signal.addEventListener('abort', () => this.#abort(job), { once: true });
    this.#put(number);
    if (this.#residing < this.#most) this.#grow();
    this.#turn();
  }

  #ready(): Table {
    clearTimeout(this.#retiring);
    if (this.#table) return this.#table;
    const table = Table.create(this.#region, this.#pool, this.#most);
    for (let number = table.count - 1; number >= 0; number--) this.#free.push(number);
    this.#table = table;
    this.#region.parker.blocking.add(this.#relieve);
    return table;
  }

  #write(table: Table, number: number, task: Task): void {
    const { name, payload, transferList, terminate, many } = task;
    const record = table.record(number);
    const { i32 } = table.region;
    let place = this.#names.get(name);
    if (place === undefined) place = this.#place(table, name);
    i32[(record + TASK_NAME) >> 2] = place;
    i32[(record + TASK_MODE) >> 2] = (terminate ? TASK_ALONE : 0) | (many ? TASK_MANY : 0);
    i32[(record + TASK_PROGRESS) >> 2] = 0;
    i32[(record + TASK_STATUS) >> 2] = NOT_ENDED;
    const fits = place >= 0 && transferList.length === 0 && !isMoved(payload);
    if (!fits || !this.#carries(table, record, task)) {
      if (many) throw new NoBatch(0);
      i32[(record + TASK_FORM) >> 2] = AS_MESSAGE;
    }
    i32[(record + TASK_STATE) >> 2] = TASK_QUEUED;
  }

  /** The place of a name in the table; -1 when it has none: then it goes by message. */
  #place(table: Table, name: string): number {
    const place = this.#names.size;
    if (place === TASK_NAMES || !table.writeName(place, name)) return -1;
    this.#names.set(name, place);
    return place;
  }

  /** Whether the record carries the payload; if not, a message does. Throws TaskError when nothing can. */
  #carries(table: Table, record: number, { payload, many, what }: Task): boolean {
    try {
      return table.write(record, TASK_LONG, payload);
    } catch (error) {
      if (many) throw new NoBatch(0);
      if (!(error instanceof CodecError)) throw error;
      const carried = sendable(payload);
      if ('refusal' in carried) throw notRun(what, carried.refusal);
      return false;
    }
  }

  /** Wakes a thread that sleeps, unless others will soon have taken what there is. */
  #put(number: number): void {
    const table = this.#table as Table;
    if (!table.tasks.put(number)) return;
    const soon = this.#soon(table);
    if (soon === 0 || (this.#open > soon && table.tasks.size > soon)) this.#wake(table);
  }

  /** How many tasks will have been taken within microseconds by threads that are awake. */
  #soon(table: Table): number {
    let soon = 0;
    for (const one of this.#residents) if (one?.ready) soon += TAKEN_SOON[table.look(one.place)] as number;
    return soon;
  }

  #wake({ tasks, region }: Table): void {
    region.parker.wake(tasks.takers);
  }

  /** Wakes a thread that sleeps while there is a task: those that are awake run what took less time before. */
  readonly #relieve = (): void => {
    const table = this.#table;
    if (table?.tasks.readable && table.tasks.awaited) this.#wake(table);
  };

  // Threads.

  /** Makes residents of as many threads as there are tasks for. */
  #grow(): void {
    while (
      !this.#ended &&
      this.#residing < this.#most &&
      (this.#residing < this.#least || this.#open > this.#residing * this.#places)
    ) {
      if (this.#stillbirths > 0 && this.#residing > 0) return;
      const place = this.#residents.indexOf(undefined);
      if (place < 0) return;
      this.#start(this.#table as Table, place);
    }
  }

  #start(table: Table, place: number): void {
    const { port1, port2 } = new MessageChannel();
    const resident: Resident = { place, port: port1, thread: -1, ready: false, retiring: false };
    this.#residents[place] = resident;
    this.#residing++;
    table.region.i32.fill(0, table.line(place) >> 2, (table.line(place) + LINE_BYTES) >> 2);
    port1.on('message', (message: ToPool) => this.#hear(resident, message));
    port1.unref(); // A pending task keeps the process running in its own way.
    const residence: Residence = { table: table.parts, place, places: this.#places, timed: !!this.#times, port: port2 };
    const start = Object.assign(share(residence), { [queueOptionsSymbol]: { place } });
    this.threads.piscina.run(start, { name: 'reside', transferList: [port2] }).then(
      () => this.#started(resident),
      (reason) => {
        const cause = isFailure(reason) ? unpack(attach(reason as Shared<Failure>)) : (this.#stillborn ?? reason);
        this.#failed(resident, cause);
      },
    );
    this.threads.watch();
  }

  #started(resident: Resident): void {
    resident.ready = true;
    this.#stillbirths = 0;
    this.#stillborn = undefined;
  }

  /** A thread has not become a resident. If there is no other one, nobody would ever run what waits. */
  #failed(resident: Resident, cause: unknown): void {
    if (this.#residents[resident.place] !== resident) return;
    this.#dismiss(resident);
    this.#stillbirths = cause instanceof RingfenceError ? STILLBIRTHS : this.#stillbirths + 1;
    if (this.#residing > 0) return;
    if (this.#stillbirths < STILLBIRTHS) {
      this.#grow();
      return;
    }
    this.#turnstile.refuseAll(cause);
    this.#strand(cause);
  }

  #dismiss(resident: Resident): void {
    this.#residents[resident.place] = undefined;
    if (!resident.retiring) this.#residing--;
    const table = this.#table;
    table?.region.kernel.valueStore(table.line(resident.place), AWAY);
    resident.port.close();
  }

  /** Rejects what is in the ring of tasks, when there is no thread. */
  #strand(cause: unknown): void {
    const { tasks } = this.#table ?? {};
    for (let number = tasks?.take() ?? NO_TASK; number !== NO_TASK; number = tasks?.take() ?? NO_TASK) {
      const job = this.#jobs[number] as Job;
      this.#release(number);
      this.#refuse(job, cause);
    }
  }

  #exited(thread: number, cause: unknown, uncaught: boolean): void {
    const resident = this.#residents.find((one) => one?.thread === thread);
    const remains = resident && this.#remains(resident);
    this.#listener.exited(thread);
    if (!resident?.ready) this.#stillborn = cause;
    if (!resident || !remains) return;
    for (const number of remains.begun) {
      const job = this.#jobs[number] as Job;
      const reason = threadDied(job.task.what, cause);
      const begun = this.#i32(number, TASK_PROGRESS);
      this.#release(number);
      this.#settle(job, false, job.task.many ? new NoBatch(begun, reason) : reason);
    }
    if (!resident.ready && remains.begun.length === 0) this.#failed(resident, cause);
    else this.#dismiss(resident);
    for (const number of remains.lost) this.#handOn(number, cause);
    if (uncaught && remains.begun.length === 0 && resident.ready) warnOfStray(this.#pool, cause);
    if (this.#open === 0) return;
    this.#grow();
    this.#relieve(); // It may have been the one that would have taken tasks soon.
  }

  /** A task that a dead thread had taken and not begun runs on another; but one that was there at so many deaths is suspect. */
  #handOn(number: number, cause: unknown): void {
    const job = this.#jobs[number] as Job;
    if (this.#phase(number) === TASK_QUEUED && ++job.deaths < DEATHS_OF_A_TASK) {
      this.#put(number);
      return;
    }
    const reason = threadDiedAgain(job.task.what, job.deaths, cause);
    this.#release(number);
    this.#settle(job, false, job.task.many ? new NoBatch((job.task.payload as unknown[]).length, reason) : reason);
  }

  /** What a thread that is gone had begun and not ended, and what it had taken and not begun. */
  #remains({ place, port }: Resident): { begun: number[]; lost: number[] } {
    const table = this.#table as Table;
    const { i32 } = table.region;
    while (this.#takeRow() > 0); // What it has published counts.
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) this.#receive(next.message);
    const begun: number[] = [];
    for (const job of this.#jobs) {
      if (!job || this.#state(job.number) >> TASK_PLACE_SHIFT !== place) continue;
      const phase = this.#phase(job.number);
      if (phase !== TASK_BEGUN && phase !== TASK_ABORTED) continue;
      const status = this.#i32(job.number, TASK_STATUS);
      if (status === NOT_ENDED) begun.push(job.number);
      else this.#conclude(job.number, status); // It died between the end of the task and the ring.
    }
    return { begun, lost: this.#taken(table, i32, table.line(place)).filter((number) => this.#isWaiting(number)) };
  }

  /** The task that a dead thread had taken from the ring and not begun. */
  #taken({ region }: Table, i32: Int32Array, line: number): number[] {
    const taken = (i32[(line + LINE_TAKEN) >> 2] as number) - 1;
    if (i32[(line + LINE_SEEKING) >> 2] === 0) return taken === NO_TASK ? [] : [taken];
    const mail = (region.threads.recordOf((i32[(line + LINE_SLOT) >> 2] as number) - 1) + THREAD_MAIL) >> 2;
    return i32[mail] === NO_TASK ? [] : [i32[mail] as number];
  }

  #isWaiting(number: number): boolean {
    const phase = this.#jobs[number] ? this.#phase(number) : TASK_FREE;
    return phase === TASK_QUEUED || phase === TASK_CANCELLED;
  }

  /** Threads above the least number end when nothing was to be done for a while. */
  #retireSoon(): void {
    if (this.#most === this.#least || this.#idleTimeout === Number.POSITIVE_INFINITY || this.#ended) return;
    clearTimeout(this.#retiring);
    this.#retiring = setTimeout(() => this.#retire(), this.#idleTimeout).unref();
  }

  #retire(): void {
    if (this.#open > 0) return;
    let surplus = this.threads.piscina.threads.length - this.#least;
    for (const one of this.#residents) {
      if (!one?.ready || one.retiring || surplus-- <= 0) continue;
      one.retiring = true;
      this.#residing--;
      one.port.postMessage({ retire: true } satisfies ToThread);
    }
  }

  // From the ring to the promise.

  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    this.#quietTurns = 0;
    setImmediate(this.#pump);
  }

  readonly #pump = (): void => {
    this.#turning = false;
    this.#settled = 0;
    this.#settleSome();
  };

  readonly #settleSome = (): void => {
    const row = this.#takeRow();
    this.#settled += row;
    if (row === SETTLED_IN_A_ROW && this.#settled < SETTLED_IN_A_TURN) queueMicrotask(this.#settleSome);
    else this.#goOn();
  };

  #goOn(): void {
    if (this.#open === 0 || this.#ended) return;
    if (this.#awaited === 0 && !this.#finishing) return; // What still runs keeps nobody waiting.
    const quiet = this.#settled > 0 ? 0 : this.#quietTurns + 1;
    if (quiet > 0 && quiet % PATIENT_TURNS === 0) this.#relieve();
    if (quiet === 1) this.#quietSince = performance.now();
    if (quiet > TURNS && !(this.#lingers && performance.now() - this.#quietSince < LINGER)) {
      this.#park();
      return;
    }
    this.#turn();
    this.#quietTurns = quiet;
  }

  #park(): void {
    if (this.#parked || !this.#table) return;
    const { results, region } = this.#table;
    this.#relieve();
    if (this.#rest.signal.aborted) this.#rest = new AbortController();
    this.#parked = true;
    const wait = {
      what: 'wait for a result',
      object: results.queue,
      set: results.takers,
      attempt: () => (results.readable ? true : AGAIN),
      passOn: () => false,
    };
    region.parker.wait(wait, { signal: this.#rest.signal }).then(
      () => {
        this.#parked = false;
        this.#lingers = performance.now() - this.#quietSince < 2 * LINGER;
        this.#quietTurns = 0;
        if (!this.#turning) this.#pump();
      },
      () => {
        this.#parked = false;
      },
    );
  }

  /**
   * Settles a row of tasks that have ended; how many. First it looks at all of their records: so the processor fetches their
   * lines from the threads' cores at once, and not one after another.
   */
  #takeRow(): number {
    if (!this.#table) return 0;
    const [row, statuses] = [this.#row, this.#statuses];
    const count = this.#table.results.takeMany(row);
    for (let i = 0; i < count; i++) statuses[i] = this.#i32(row[i] as number, TASK_STATUS);
    for (let i = 0; i < count; i++) this.#conclude(row[i] as number, statuses[i] as number);
    return count;
  }

  #conclude(number: number, status: number): void {
    const job = this.#jobs[number] as Job;
    const table = this.#table as Table;
    const record = table.record(number);
    if (job.settled || status === NOT_RUN) {
      this.#release(number);
      this.#settle(job, false, new TaskError(`${job.task.what} was not run`));
      return;
    }
    let value: unknown;
    let fulfilled = status === RETURNED;
    try {
      value = table.read(record, TASK_RESULT);
      if (!fulfilled) value = unpack(attach(value as Shared<Failure>));
      else if (job.task.many) value = unpackedBatch(value as Batch);
    } catch (reason) {
      fulfilled = false;
      value = reason;
    }
    this.#measure(record, job, fulfilled);
    this.#release(number);
    this.#settle(job, fulfilled, value);
  }

  #measure(record: number, { since, task }: Job, fulfilled: boolean): void {
    const items = task.many ? (task.payload as unknown[]).length : 1;
    const { f64 } = this.#region;
    let times: { waitTime: number; runTime: number } | undefined;
    if (this.#times) {
      const began = f64[(record + TASK_BEGAN) >> 3] as number;
      const runTime = (f64[(record + TASK_ENDED) >> 3] as number) - began;
      const waitTime = began - since;
      this.#times.run.record(runTime / items, items);
      this.#times.wait.record(waitTime, items);
      if (tasksChannel.hasSubscribers) times = { waitTime, runTime };
    }
    if (!tasksChannel.hasSubscribers) return;
    tasksChannel.publish({ pool: this.#pool, name: task.name, items, fulfilled, ...times } satisfies TaskEnd);
  }

  #release(number: number): void {
    const table = this.#table as Table;
    const record = table.record(number);
    table.freePieces(record);
    table.region.i32[(record + TASK_STATE) >> 2] = TASK_FREE;
    this.#jobs[number] = undefined;
    this.#free.push(number);
    this.#open--;
    this.#turnstile.leave();
    if (this.#open === 0) this.#rested();
  }

  #rested(): void {
    if (this.#parked) this.#rest.abort();
    this.#stillbirths = 0;
    this.#retireSoon();
    this.#listener.idle();
  }

  #settle(job: Job, fulfilled: boolean, value: unknown): void {
    if (job.settled) return;
    job.settled = true;
    this.#awaited--;
    job.task.clear?.();
    if (fulfilled) job.resolve(value);
    else job.reject(value);
    if (!job.task.many) this.#listener.settled(fulfilled);
  }

  #refuse(job: Job, reason: unknown): void {
    const { signal, what } = job.task;
    if (signal?.aborted) this.#settle(job, false, signal.reason);
    else this.#settle(job, false, reason instanceof RingfenceError ? reason : threadDied(what, reason));
  }

  // Aborts and messages.

  #abort(job: Job): void {
    const table = this.#table;
    if (job.settled || !table) return;
    const reason = job.task.signal?.reason;
    this.#settle(job, false, reason);
    const { kernel } = this.#region;
    const record = table.record(job.number);
    if (kernel.valueExchange(record, TASK_QUEUED, TASK_CANCELLED) === TASK_QUEUED) return;
    const place = kernel.valueLoad(record) >> TASK_PLACE_SHIFT;
    const [begun, aborted] = [TASK_BEGUN, TASK_ABORTED].map((phase) => phase | (place << TASK_PLACE_SHIFT));
    kernel.valueExchange(record, begun as number, aborted as number);
    const resident = this.#residents[place];
    if (!resident) return;
    if (job.task.terminate) this.threads.terminate(resident.thread);
    else resident.port.postMessage({ abort: job.number, ...share(pack(reason)) } as ToThread);
  }

  #hear(resident: Resident, message: ToPool): void {
    if ('fetch' in message) this.#send(resident, message.fetch);
    else this.#receive(message);
  }

  /** A thread has begun a task whose payload goes by message. */
  #send({ port }: Resident, number: number): void {
    const job = this.#jobs[number];
    if (!job) return;
    const { name, payload, transferList, what } = job.task;
    try {
      if (job.settled) throw new Error('aborted');
      const moved = isMoved(payload);
      const transfers: Transferable[] = moved ? [...transferList, ...transfersOf(payload)] : [...transferList];
      const refusal = whyNotMovable(transfers);
      if (refusal) throw refusal;
      const letter = { letter: number, name, payload: share(moved ? payload[MOVED_VALUE] : payload) };
      port.postMessage(letter satisfies ToThread, transfers);
    } catch (cause) {
      this.#settle(job, false, cause instanceof RingfenceError ? cause : notRun(what, cause as Error));
      port.postMessage({ unsent: number } satisfies ToThread);
    }
  }

  /** A result that came by message. */
  #receive(message: ToPool): void {
    if (!('ended' in message)) return;
    const number = message.ended;
    const job = this.#jobs[number] as Job;
    const { fulfilled, value } = opened(message, job.task.many);
    if (!job.settled) this.#measure((this.#table as Table).record(number), job, fulfilled);
    this.#release(number);
    this.#settle(job, fulfilled, value);
  }

  #i32(number: number, word: number): number {
    return this.#region.i32[((this.#table as Table).record(number) + word) >> 2] as number;
  }

  #state(number: number): number {
    return this.#region.kernel.valueLoad((this.#table as Table).record(number));
  }

  #phase(number: number): number {
    return this.#state(number) & TASK_PHASE;
  }
}

/** A batch with the errors of its items as they were thrown. */
function unpackedBatch([values, failures]: Batch): Batch {
  return [values, failures.map(([index, failure]) => [index, unpack(attach(failure as Shared<Failure>))])];
}

function opened(message: Extract<ToPool, { ended: number }>, many = false): { fulfilled: boolean; value: unknown } {
  try {
    const value = 'value' in message ? attach(message.value) : undefined;
    if ('value' in message) return { fulfilled: true, value: many ? unpackedBatch(value as Batch) : value };
    return { fulfilled: false, value: unpack(attach({ failure: message.failure } as Shared<Failure>)) };
  } catch (value) {
    return { fulfilled: false, value };
  }
}

function placeOf(task: PiscinaTask): number {
  return (task as unknown as Record<symbol, { place: number }>)[queueOptionsSymbol]?.place ?? -1;
}
