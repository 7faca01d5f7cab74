/**
 * Transport: tasks through the rings, the pool's side. See table.ts for how they travel, crew.ts for the threads, collector.ts
 * for the way back.
 */

import { receiveMessageOnPort } from 'node:worker_threads';
import {
  NO_TASK,
  NOT_RUN,
  RETURNED,
  TASK_ABORTED,
  TASK_BEGUN,
  TASK_CANCELLED,
  TASK_PLACE_SHIFT,
  TASK_PROGRESS,
  TASK_QUEUED,
  TASK_RESULT,
  TASK_STATUS,
} from '../kernel/layout.ts';
import { RingfenceError, TaskError } from '../memory/errors.ts';
import { attach, type Shared, share } from '../memory/handles.ts';
import type { Region } from '../memory/region.ts';
import { Collector } from './collector.ts';
import { Crew, type Member } from './crew.ts';
import { type Failure, pack, unpack } from './failure.ts';
import type { PoolTimes } from './histogram.ts';
import { type Job, Jobs, type Remains } from './jobs.ts';
import { letterOf, opened, unpackedBatch } from './letters.ts';
import { notRun, threadDied, threadDiedAgain, warnOfStray } from './posted.ts';
import type { ToPool, ToThread } from './residence.ts';
import { type Batch, Table } from './table.ts';
import { type Carrier, type Listener, NoBatch, type PiscinaOptions, type Task, type Threads } from './threads.ts';
import { Timing } from './timing.ts';
import { Turnstile } from './turnstile.ts';
import { Writer } from './writer.ts';

/** When so many threads died that had taken a task, it is not given to another one. */
const DEATHS_OF_A_TASK = 2;

/** Over which tasks go and results come back, from the first task on. */
interface Desk {
  readonly table: Table;
  readonly jobs: Jobs;
  readonly writer: Writer;
  readonly collector: Collector;
}

export class Transport implements Carrier {
  readonly #pool: string;
  readonly #region: Region;
  readonly #listener: Listener;
  readonly #turnstile: Turnstile;
  readonly #timing: Timing;
  readonly #crew: Crew;
  #desk: Desk | undefined;
  #awaited = 0;
  #finishing = false;
  #ended = false;

  constructor(pool: string, region: Region, options: PiscinaOptions, listener: Listener) {
    this.#pool = pool;
    this.#region = region;
    this.#listener = listener;
    this.#turnstile = new Turnstile(Table.countFor(region));
    this.#timing = new Timing(pool, region.f64, options.recordTiming !== false);
    this.#crew = new Crew(options, {
      open: () => this.open,
      isWanted: () => this.#awaited > 0,
      hear: (member, message) => this.#hear(member, message),
      exited: (thread, cause, uncaught) => this.#exited(thread, cause, uncaught),
      strand: (cause) => this.#strand(cause),
    });
  }

  get threads(): Threads {
    return this.#crew.threads;
  }

  /** With several tasks at the same time in a thread, a batch would keep its items from being among them. */
  get takesMany(): boolean {
    return this.#crew.places === 1;
  }

  get open(): number {
    return this.#desk ? this.#desk.jobs.open : 0;
  }

  get queued(): number {
    return this.#turnstile.waiting + (this.#desk?.jobs.queued ?? 0);
  }

  get idle(): number {
    return this.threads.piscina.threads.length - (this.#desk?.jobs.busy ?? 0);
  }

  get runTime(): PoolTimes | undefined {
    return this.#timing.runTime;
  }

  get waitTime(): PoolTimes | undefined {
    return this.#timing.waitTime;
  }

  run(task: Task): Promise<unknown> {
    this.#awaited++;
    return new Promise((resolve, reject) => {
      const since = this.#timing.begin();
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
    if (this.open > 0) this.#desk?.collector.turn();
  }

  async end(): Promise<void> {
    this.#ended = true;
    const cause = new Error('the pool was terminated');
    this.#turnstile.refuseAll(cause);
    await this.#crew.end();
    this.#strand(cause);
    this.#desk?.collector.end();
    this.#desk?.table.free();
    this.#desk = undefined;
  }

  // From run() to the ring.

  #submit(job: Job): void {
    const { task } = job;
    if (this.#ended || task.signal?.aborted) {
      this.#turnstile.leave();
      this.#refuse(job, new Error('the pool was terminated'));
      return;
    }
    let number = NO_TASK;
    try {
      this.#desk ??= this.#furnish();
      const { jobs, writer } = this.#desk;
      if (jobs.open === 0) this.#crew.stay();
      number = jobs.take();
      writer.write(number, task);
    } catch (reason) {
      if (number !== NO_TASK) this.#desk?.jobs.giveBack(number);
      this.#turnstile.leave();
      this.#settle(job, false, reason);
      return;
    }
    const { jobs, collector } = this.#desk;
    jobs.add(number, job);
    if (task.signal) task.signal.addEventListener('abort', () => this.#abort(job), { once: true });
    this.#crew.put(number);
    this.#crew.grow();
    collector.turn();
  }

  #furnish(): Desk {
    const table = Table.create(this.#region, this.#pool, this.#crew.most);
    this.#crew.begin(table);
    const collector = new Collector(table, {
      isWaiting: () => this.#isWaiting(),
      conclude: (number, status) => this.#conclude(number, status),
      relieve: this.#crew.relieve,
    });
    return { table, jobs: new Jobs(table), writer: new Writer(table), collector };
  }

  /** What still runs when everything was aborted keeps nobody waiting, but `close`. */
  #isWaiting(): boolean {
    return this.open > 0 && !this.#ended && (this.#awaited > 0 || this.#finishing);
  }

  // From the ring to the promise.

  #conclude(number: number, status: number): void {
    const { table, jobs } = this.#desk as Desk;
    const job = jobs.at(number) as Job;
    if (job.settled || status === NOT_RUN) {
      this.#release(number);
      this.#settle(job, false, new TaskError(`${job.task.what} was not run`));
      return;
    }
    const record = table.record(number);
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
    this.#timing.end(record, job.since, job.task, fulfilled);
    this.#release(number);
    this.#settle(job, fulfilled, value);
  }

  #release(number: number): void {
    const { jobs, collector } = this.#desk as Desk;
    jobs.remove(number);
    this.#turnstile.leave();
    if (jobs.open > 0) return;
    collector.rest();
    this.#crew.rest();
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

  // Threads that are gone.

  #exited(thread: number, cause: unknown, uncaught: boolean): void {
    const member = this.#crew.of(thread);
    const remains = member && this.#remains(member);
    this.#listener.exited(thread);
    if (remains) for (const number of remains.begun) this.#bury(number, cause);
    this.#crew.lose(member, cause, remains !== undefined && remains.begun.length > 0);
    if (!member || !remains) return;
    for (const number of remains.lost) this.#handOn(number, cause);
    if (uncaught && remains.begun.length === 0 && member.ready) warnOfStray(this.#pool, cause);
    if (this.open === 0) return;
    this.#crew.grow();
    this.#crew.relieve(); // It may have been the one that would have taken tasks soon.
  }

  /** What a thread that is gone had taken; what it has published counts. */
  #remains({ place, port }: Member): Remains {
    const { jobs, collector } = this.#desk as Desk;
    while (collector.collect() > 0);
    for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) this.#receive(next.message);
    const remains = jobs.remainsOf(place);
    for (const number of remains.ended) this.#conclude(number, jobs.word(number, TASK_STATUS));
    return remains;
  }

  /** A task that a dead thread had begun. */
  #bury(number: number, cause: unknown): void {
    const { jobs } = this.#desk as Desk;
    const job = jobs.at(number) as Job;
    const reason = threadDied(job.task.what, cause);
    const begun = jobs.word(number, TASK_PROGRESS);
    this.#release(number);
    this.#settle(job, false, job.task.many ? new NoBatch(begun, reason) : reason);
  }

  /** A task that a dead thread had taken and not begun runs on another; but one that was there at so many deaths is suspect. */
  #handOn(number: number, cause: unknown): void {
    const { jobs } = this.#desk as Desk;
    const job = jobs.at(number) as Job;
    if (jobs.phase(number) === TASK_QUEUED && ++job.deaths < DEATHS_OF_A_TASK) {
      this.#crew.put(number);
      return;
    }
    const reason = threadDiedAgain(job.task.what, job.deaths, cause);
    this.#release(number);
    this.#settle(job, false, job.task.many ? new NoBatch((job.task.payload as unknown[]).length, reason) : reason);
  }

  /** Rejects all that waits, when there is no thread. */
  #strand(cause: unknown): void {
    this.#turnstile.refuseAll(cause);
    const { tasks } = this.#desk?.table ?? {};
    for (let number = tasks?.take() ?? NO_TASK; number !== NO_TASK; number = tasks?.take() ?? NO_TASK) {
      const job = this.#desk?.jobs.at(number) as Job;
      this.#release(number);
      this.#refuse(job, cause);
    }
  }

  // Aborts and messages.

  #abort(job: Job): void {
    const table = this.#desk?.table;
    if (job.settled || !table) return;
    const reason = job.task.signal?.reason;
    this.#settle(job, false, reason);
    const { kernel } = this.#region;
    const record = table.record(job.number);
    if (kernel.valueExchange(record, TASK_QUEUED, TASK_CANCELLED) === TASK_QUEUED) return;
    const place = kernel.valueLoad(record) >> TASK_PLACE_SHIFT;
    const [begun, aborted] = [TASK_BEGUN, TASK_ABORTED].map((phase) => phase | (place << TASK_PLACE_SHIFT));
    kernel.valueExchange(record, begun as number, aborted as number);
    const member = this.#crew.at(place);
    if (!member) return;
    if (job.task.terminate) this.threads.terminate(member.thread);
    else member.port.postMessage({ abort: job.number, ...share(pack(reason)) } as ToThread);
  }

  #hear(member: Member, message: ToPool): void {
    if ('fetch' in message) this.#send(member, message.fetch);
    else this.#receive(message);
  }

  /** A thread has begun a task whose payload goes by message. */
  #send({ port }: Member, number: number): void {
    const job = this.#desk?.jobs.at(number);
    if (!job) return;
    try {
      if (job.settled) throw new Error('aborted');
      const { letter, transfers } = letterOf(number, job.task);
      port.postMessage(letter, transfers);
    } catch (cause) {
      this.#settle(job, false, cause instanceof RingfenceError ? cause : notRun(job.task.what, cause as Error));
      port.postMessage({ unsent: number } satisfies ToThread);
    }
  }

  /** A result that came by message. */
  #receive(message: ToPool): void {
    if (!('ended' in message) || !this.#desk) return;
    const number = message.ended;
    const { table, jobs } = this.#desk;
    const job = jobs.at(number) as Job;
    const { fulfilled, value } = opened(message, job.task.many);
    if (!job.settled) this.#timing.end(table.record(number), job.since, job.task, fulfilled);
    this.#release(number);
    this.#settle(job, fulfilled, value);
  }
}
