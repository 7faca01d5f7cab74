import { Worker } from 'node:worker_threads';
import { REGION_THREADS, REGION_THREADS_AT, THREAD_BYTES } from '../../../lib/kernel/layout.ts';
import { share } from '../../../lib/memory/handles.ts';
import { type Region, supervise } from '../../../lib/memory/region.ts';
import { formatSnapshot } from '../../../lib/memory/snapshot.ts';
import type { Order } from '../crew.ts';
import { random } from '../random.ts';
import { AIM, EXHAUST, EXIT, FATE, NO_FATE, POINTS, PROGRESS, THERE, THROW, WORDS } from './jobs.ts';

export const PATIENCE = 20_000; // turns of a millisecond without any progress: wedged, also on a busy machine
const jobs = new URL('./jobs.js', import.meta.url).href;
const entry = new URL('../crew-worker.js', import.meta.url);

/** What is known of a storm so far. */
export interface Tally {
  kills: number;
  /** Whether the threads use timeouts. */
  readonly hasty: boolean;
  readonly by: Record<string, number>;
  /** Milliseconds from the exit event until all was repaired, for each death. */
  readonly repairs: number[];
  lost: number;
  duplicates: number;
  /** Items that a dead consumer had taken and not marked: lost with it, as promised. */
  taken: number;
  /** Items that came back. */
  returned: number;
}

export function newTally(hasty: boolean): Tally {
  return { kills: 0, hasty, by: {}, repairs: [], lost: 0, duplicates: 0, taken: 0, returned: 0 };
}

export function count(tally: Tally, how: string, kills: number): void {
  tally.kills += kills;
  tally.by[how] = (tally.by[how] ?? 0) + kills;
}

/** Who was killed, at the time of the exit event, when nothing is repaired yet. */
export interface Fallen {
  readonly index: number;
  /** Its record in the threads table, or -1 when it has buried itself. */
  readonly record: number;
  readonly slot: number;
}

/** A worker that the storm started, and what became of it. */
interface Member {
  readonly worker: Worker;
  readonly ended: Promise<void>;
  running: boolean;
  killed: boolean;
}

/** The stuck detector: a progress counter that does not move for long fails with a picture of the region. */
export class Wedge extends Error {
  override readonly name = 'Wedge';

  constructor(what: string, region: Region) {
    super(`${what}: nothing moved for ${PATIENCE / 1000} s\n${formatSnapshot(region.inspect())}`);
  }
}

/** Threads that run jobs of ./jobs.ts, one at each place, and are killed and replaced. */
export class Crew {
  readonly board: Int32Array;
  readonly stop: Int32Array = new Int32Array(new SharedArrayBuffer(4));
  readonly #hold = new Int32Array(new SharedArrayBuffer(4));
  readonly dice: (limit: number) => number;
  readonly #region: Region;
  readonly #roles: readonly string[];
  readonly #args: (index: number) => object;
  readonly #tally: Tally;
  readonly #members: (Member | undefined)[] = [];
  readonly #onFall: (fallen: Fallen) => void;
  #failure: unknown;
  /** How many of it were killed. */
  kills = 0;

  constructor(
    region: Region,
    roles: readonly string[],
    args: (index: number) => object,
    tally: Tally,
    seed: number,
    onFall: (fallen: Fallen) => void = () => {},
  ) {
    this.#region = region;
    this.#roles = roles;
    this.#args = args;
    this.#tally = tally;
    this.#onFall = onFall;
    this.dice = random(seed);
    this.board = new Int32Array(new SharedArrayBuffer(4 * WORDS * roles.length));
    for (const index of roles.keys()) this.spawn(index);
  }

  /** Starts a thread at a place; the others rest until it runs. */
  spawn(index: number): void {
    Atomics.store(this.#hold, 0, 1);
    for (let word = 1; word < WORDS; word++) Atomics.store(this.board, index * WORDS + word, 0);
    const { board, stop } = this;
    const seed = 1 + this.dice(2 ** 30);
    const order: Order = {
      ...{ module: jobs, name: this.#roles[index] ?? '', index },
      args: share({ ...this.#args(index), board, stop, hold: this.#hold, seed, hasty: this.#tally.hasty }),
    };
    const worker = new Worker(entry, { workerData: order, resourceLimits: { maxOldGenerationSizeMb: 48 } });
    let exited = 0;
    worker.on('exit', () => {
      exited = performance.now();
      this.#onFall(this.#find(id, index));
    });
    const id = worker.threadId;
    supervise(worker);
    const ended = new Promise<void>((resolve) => {
      worker.on('exit', (code) => {
        this.#tally.repairs.push(performance.now() - exited);
        if (code !== 0 && !member.killed) this.#failure ??= new Error(`a ${this.#roles[index]} ended with ${code}`);
        member.running = false;
        resolve();
      });
    });
    const member: Member = { worker, ended, running: false, killed: false };
    worker.on('error', (error) => {
      if (!member.killed) this.#failure ??= error;
    });
    worker.once('message', () => {
      member.running = true;
      worker.postMessage('go');
    });
    this.#members[index] = member;
  }

  #find(thread: number, index: number): Fallen {
    const { kernel, i32 } = this.#region;
    for (let slot = 0; slot < (i32[REGION_THREADS >> 2] ?? 0); slot++) {
      const record = (i32[REGION_THREADS_AT >> 2] ?? 0) + slot * THREAD_BYTES;
      if (kernel.threadClaim(record) === thread + 1) return { index, record, slot };
    }
    return { index, record: -1, slot: -1 };
  }

  /** Kills one to three threads in one of several ways, waits until they are buried, and replaces them; who died. */
  async strike(replace = true): Promise<number[]> {
    const { dice } = this;
    await this.#moves('to start', () => this.#running().length === this.#roles.length || this.#failure !== undefined);
    this.#release();
    await this.moves();
    const alive = this.#running();
    const victims = Array.from({ length: 1 + dice(Math.min(3, alive.length)) }, () => {
      return alive.splice(dice(alive.length), 1)[0] as number;
    });
    const way = dice(20);
    const how = way < 9 ? 'aimed' : way === 9 ? 'by itself' : way === 10 ? 'late' : 'random';
    if (how === 'aimed') await this.#aim(victims);
    else await new Promise((resolve) => setTimeout(resolve, dice(8)));
    const members = victims.map((index) => this.#members[index] as Member);
    for (const member of members) member.killed = true;
    if (how === 'by itself') this.#doom(victims);
    else for (const { worker } of members) void worker.terminate();
    if (how === 'late') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20 + dice(100)); // several exits wait
    await this.#all(members, how === 'by itself');
    this.kills += victims.length;
    count(this.#tally, how, victims.length);
    if (this.#failure) throw this.#failure;
    if (replace) for (const index of victims) this.spawn(index);
    return victims;
  }

  /** Tells them a point, and waits until they are there, or for a while: some never come there. */
  async #aim(victims: readonly number[]): Promise<void> {
    for (const index of victims) Atomics.store(this.board, index * WORDS + AIM, 1 + this.dice(POINTS));
    const end = performance.now() + 40;
    const there = () => victims.every((index) => this.board[index * WORDS + THERE] === 1);
    while (!there() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** They end by themselves: by process.exit, an error, or for want of memory; who sleeps meanwhile is terminated. */
  #doom(victims: readonly number[]): void {
    const fate = [EXIT, THROW, EXIT, THROW, EXHAUST][this.dice(5)] ?? NO_FATE;
    for (const index of victims) Atomics.store(this.board, index * WORDS + FATE, fate);
  }

  async #all(members: readonly Member[], byThemselves: boolean): Promise<void> {
    const all = Promise.all(members.map(({ ended }) => ended));
    if (byThemselves) {
      const late = new Promise((resolve) => setTimeout(resolve, 1500).unref());
      await Promise.race([all, late]);
      for (const { worker } of members) void worker.terminate();
    }
    await all;
  }

  #running(): number[] {
    return [...this.#members.keys()].filter((index) => this.#members[index]?.running);
  }

  /** Steps that all places have made. */
  get progress(): number {
    return this.#roles.reduce((sum, _, index) => sum + (this.board[index * WORDS + PROGRESS] ?? 0), 0);
  }

  /** Waits until the threads have made a step. */
  async moves(): Promise<void> {
    const before = this.progress;
    await this.#moves('to go on', () => this.progress !== before || this.#failure !== undefined);
    if (this.#failure) throw this.#failure;
  }

  /** Waits until these have ended by themselves. */
  async end(indices: Iterable<number> = this.#members.keys()): Promise<void> {
    this.#release();
    const members = [...indices].map((index) => this.#members[index] as Member);
    let open = members.length;
    for (const { ended } of members) void ended.then(() => open--);
    await this.#moves('to end', () => open === 0);
    if (this.#failure) throw this.#failure;
  }

  #release(): void {
    Atomics.store(this.#hold, 0, 0);
    Atomics.notify(this.#hold, 0);
  }

  async #moves(what: string, condition: () => boolean): Promise<void> {
    let turns = 0;
    for (let before = this.progress; !condition(); turns++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (this.progress !== before) [before, turns] = [this.progress, 0];
      if (turns > PATIENCE) throw new Wedge(`waited for [${this.#roles}] ${what}`, this.#region);
    }
  }

  async dismiss(): Promise<void> {
    for (const member of this.#members) if (member) member.killed = true;
    await Promise.all(this.#members.map((member) => member?.worker.terminate()));
  }
}
