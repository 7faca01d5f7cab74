/**
 * Crew: the threads of a pool that take tasks from the ring, from their start to their end, and which one is woken for a task.
 *
 * Each is one long task of piscina's, in a place of its own: a line of the table.
 *
 * Wake   1. a task is put into the ring  2. nobody sleeps: that is all  3. threads that are awake say in their lines that they
 *           will have taken all there is within microseconds: that is all  4. otherwise one that sleeps is woken
 * Relieve when such a thread is about to do something else it wakes another one itself; one that is held up by a function that
 *           was tiny before cannot: the pool looks after some turns without a result, before it sleeps, and before it blocks
 * Start  1. as many as there are tasks for  2. one that fails before it takes tasks is followed by another, as often as
 *           STILLBIRTHS when it is the only one: then what waits is rejected
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type PiscinaTask, queueOptionsSymbol } from 'piscina';
import { LINE_BYTES } from '../kernel/layout.ts';
import { RingfenceError } from '../memory/errors.ts';
import { attach, type Shared, share } from '../memory/handles.ts';
import { type Failure, isFailure, unpack } from './failure.ts';
import type { Residence, ToPool, ToThread } from './residence.ts';
import { AWAY, type Table } from './table.ts';
import { type PiscinaOptions, Threads } from './threads.ts';

/** How many tasks a thread takes soon, by what its line says: AWAY, LOOKING, SOON. */
const TAKEN_SOON = [0, 1, Number.POSITIVE_INFINITY];
/** When so many threads in a row die before they take tasks, what waits is rejected. */
const STILLBIRTHS = 5;

/** A thread that takes tasks from the ring. */
export interface Member {
  readonly place: number;
  readonly port: MessagePort;
  /** Node's id of the thread, once piscina has chosen one. */
  thread: number;
  ready: boolean;
  /** It was told to end. */
  retiring: boolean;
}

/** For whom the threads work. */
export interface Employer {
  /** How many tasks are with the threads. */
  open(): number;
  /** Whether somebody waits for a task. */
  isWanted(): boolean;
  hear(member: Member, message: ToPool): void;
  /** A thread is gone: `lose` says so to the crew. `uncaught`: by an error that it did not catch. */
  exited(thread: number, cause: unknown, uncaught: boolean): void;
  /** No thread starts: nobody would ever run what waits. */
  strand(cause: unknown): void;
}

export class Crew {
  readonly threads: Threads;
  /** How many tasks a thread runs at the same time. */
  readonly places: number;
  readonly most: number;
  readonly #least: number;
  readonly #idleTimeout: number;
  readonly #timed: boolean;
  readonly #employer: Employer;
  readonly #members: (Member | undefined)[];
  /** Of these, threads that were not told to end. */
  #staying = 0;
  #table: Table | undefined;
  /** Why a thread did not start. */
  #stillborn: unknown;
  /** So many threads in a row did not start: no more than those that are there. */
  #stillbirths = 0;
  #retiring: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: PiscinaOptions, employer: Employer) {
    this.#employer = employer;
    this.#idleTimeout = options.idleTimeout ?? 0;
    this.#timed = options.recordTiming !== false;
    const loadBalancer: PiscinaOptions['loadBalancer'] = (task, workers) => {
      const member = this.#members[placeOf(task)];
      const worker = workers.find(({ id }) => !this.of(id));
      if (!member || !worker) return null;
      member.thread = worker.id;
      return worker;
    };
    this.threads = new Threads(
      { ...options, atomics: 'disabled', idleTimeout: Number.POSITIVE_INFINITY, loadBalancer, recordTiming: false },
      employer,
    );
    this.threads.piscina.on('error', () => {}); // Told by the thread itself.
    const { maxThreads, minThreads } = this.threads.piscina;
    this.most = maxThreads;
    this.#least = minThreads;
    this.places = this.threads.piscina.options.concurrentTasksPerWorker;
    this.#members = new Array(maxThreads).fill(undefined);
  }

  /** There is a table to work at. */
  begin(table: Table): void {
    this.#table = table;
    table.region.parker.blocking.add(this.relieve);
  }

  /** Ends all threads. */
  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#retiring);
    await this.threads.end();
    this.#table?.region.parker.blocking.delete(this.relieve);
    this.#table = undefined;
  }

  /** The thread with that id of Node's. */
  of(thread: number): Member | undefined {
    return this.#members.find((member) => member?.thread === thread);
  }

  /** The thread in that place. */
  at(place: number): Member | undefined {
    return this.#members[place];
  }

  /** Puts a task into the ring, and wakes a thread that sleeps, unless others will soon have taken what there is. */
  put(number: number): void {
    const table = this.#table as Table;
    if (!table.tasks.put(number)) return;
    const soon = this.#soon(table);
    if (soon === 0 || (this.#employer.open() > soon && table.tasks.size > soon)) this.#wake(table);
  }

  /** How many tasks will have been taken within microseconds by threads that are awake. */
  #soon(table: Table): number {
    let soon = 0;
    for (const one of this.#members) if (one?.ready) soon += TAKEN_SOON[table.look(one.place)] as number;
    return soon;
  }

  #wake({ tasks, region }: Table): void {
    region.parker.wake(tasks.takers);
  }

  /** Wakes a thread that sleeps while there is a task: those that are awake run what took less time before. */
  readonly relieve = (): void => {
    const table = this.#table;
    if (table?.tasks.readable && table.tasks.awaited) this.#wake(table);
  };

  /** Starts as many as there are tasks for. */
  grow(): void {
    while (
      !this.#ended &&
      this.#staying < this.most &&
      (this.#staying < this.#least || this.#employer.open() > this.#staying * this.places)
    ) {
      if (this.#stillbirths > 0 && this.#staying > 0) return;
      const place = this.#members.indexOf(undefined);
      if (place < 0) return;
      this.#start(this.#table as Table, place);
    }
  }

  #start(table: Table, place: number): void {
    const { port1, port2 } = new MessageChannel();
    const member: Member = { place, port: port1, thread: -1, ready: false, retiring: false };
    this.#members[place] = member;
    this.#staying++;
    table.region.i32.fill(0, table.line(place) >> 2, (table.line(place) + LINE_BYTES) >> 2);
    port1.on('message', (message: ToPool) => this.#employer.hear(member, message));
    port1.unref(); // A pending task keeps the process running in its own way.
    const residence: Residence = { table: table.parts, place, places: this.places, timed: this.#timed, port: port2 };
    const start = Object.assign(share(residence), { [queueOptionsSymbol]: { place } });
    this.threads.piscina.run(start, { name: 'reside', transferList: [port2] }).then(
      () => this.#started(member),
      (reason) => {
        const cause = isFailure(reason) ? unpack(attach(reason as Shared<Failure>)) : (this.#stillborn ?? reason);
        this.#failed(member, cause);
      },
    );
    this.threads.watch();
  }

  #started(member: Member): void {
    member.ready = true;
    this.#stillbirths = 0;
    this.#stillborn = undefined;
  }

  /** A thread takes no tasks. If there is no other one, nobody would ever run what waits. */
  #failed(member: Member, cause: unknown): void {
    if (this.#members[member.place] !== member) return;
    this.#dismiss(member);
    this.#stillbirths = cause instanceof RingfenceError ? STILLBIRTHS : this.#stillbirths + 1;
    if (this.#staying > 0) return;
    if (this.#stillbirths < STILLBIRTHS) this.grow();
    else this.#employer.strand(cause);
  }

  #dismiss(member: Member): void {
    this.#members[member.place] = undefined;
    if (!member.retiring) this.#staying--;
    const table = this.#table;
    table?.region.kernel.valueStore(table.line(member.place), AWAY);
    member.port.close();
  }

  /** A thread is gone; one that ran a task was not stillborn. */
  lose(member: Member | undefined, cause: unknown, hadBegun: boolean): void {
    if (!member?.ready) this.#stillborn = cause;
    if (member && !member.ready && !hadBegun) this.#failed(member, cause);
    else if (member) this.#dismiss(member);
  }

  /** Nothing is open just now. */
  rest(): void {
    this.#stillbirths = 0;
    this.#retireSoon();
  }

  /** Something will be open. */
  stay(): void {
    clearTimeout(this.#retiring);
  }

  /** Threads above the least number end when nothing was to be done for a while. */
  #retireSoon(): void {
    if (this.most === this.#least || this.#idleTimeout === Number.POSITIVE_INFINITY || this.#ended) return;
    clearTimeout(this.#retiring);
    this.#retiring = setTimeout(() => this.#retire(), this.#idleTimeout).unref();
  }

  #retire(): void {
    if (this.#employer.open() > 0) return;
    let surplus = this.threads.piscina.threads.length - this.#least;
    for (const one of this.#members) {
      if (!one?.ready || one.retiring || surplus-- <= 0) continue;
      one.retiring = true;
      this.#staying--;
      one.port.postMessage({ retire: true } satisfies ToThread);
    }
  }
}

function placeOf(task: PiscinaTask): number {
  return (task as unknown as Record<symbol, { place: number }>)[queueOptionsSymbol]?.place ?? -1;
}
