import diagnostics from 'node:diagnostics_channel';
import { Worker } from 'node:worker_threads';
import { share } from '../../../lib/memory/handles.ts';
import { type Death, Region, supervise } from '../../../lib/memory/region.ts';
import type { Codec } from '../../../lib/queue/codec.ts';
import { Queue } from '../../../lib/queue/queue.ts';
import { Mutex } from '../../../lib/sync/mutex.ts';
import type { Order } from '../crew.ts';
import { random } from '../random.ts';
import { until } from '../until.ts';
import { type Dying, STOP } from './dying.ts';
import { hasBegun, type Lane, newClock, newLanes, operationsOf } from './lane.ts';
import { mutexModel, queueModel } from './models.ts';
import type { History } from './record.ts';
import { type Items, laneOf, type Stage } from './work.ts';

// Histories in which threads are terminated: what a victim was in the middle of has taken effect, or not, before it was buried.

const SURVIVORS = 2;
export const VICTIMS = 6; // one after another
const LANES = SURVIVORS + VICTIMS + 1; // the last one is of the thread that kills
const [MOST_OF_A_SURVIVOR, MOST] = [200_000, 20_000]; // operations of a lane
const buried = new Set<number>();
diagnostics.subscribe('ringfence:death', (death) => buried.add((death as Death).thread));

function stageOf<T>(object: T, seed: number): Stage<T> {
  const lanes = [...newLanes(SURVIVORS, MOST_OF_A_SURVIVOR), ...newLanes(VICTIMS + 1, MOST)];
  return { object, clock: newClock(), lanes, seed, words: new Int32Array(new SharedArrayBuffer(8)) };
}

/** Kills one victim after another while the survivors go on; the deaths are in the last lane. */
async function killInTurn<T>(name: string, stage: Stage<T>, end: (own: Lane) => void): Promise<void> {
  const next = random(stage.seed);
  const own = laneOf(stage, LANES - 1);
  const survivors = await Promise.all([0, 1].map((lane) => begin(name, { stage, lane, victim: false })));
  for (let lane = SURVIVORS; lane < SURVIVORS + VICTIMS; lane++) {
    const victim = await begin(name, { stage, lane, victim: true });
    const id = victim.threadId;
    const enough = 10 + next(200);
    await until(() => hasBegun(stage.lanes[lane] as Int32Array, enough), 'the victim to get going');
    const death = own.begin('death', lane);
    await victim.terminate();
    await until(() => buried.has(id), 'the burial');
    own.end(death, 0);
  }
  const ends = Promise.all(survivors.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
  end(own);
  await ends;
}

/** A thread that runs a function of dying.ts. */
async function begin<T>(name: string, dying: Dying<T>): Promise<Worker> {
  const module = new URL('./dying.js', import.meta.url).href;
  const order: Order = { module, name, index: dying.lane, args: share<unknown>(dying) };
  const worker = new Worker(new URL('../crew-worker.js', import.meta.url), { workerData: order });
  supervise(worker);
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  worker.postMessage('go');
  return worker;
}

export async function killInMutex(seed: number): Promise<History> {
  const stage = stageOf(new Mutex({ region: new Region({ bytes: 2 ** 20, threads: 8 }) }), seed);
  await killInTurn('lockUntilDeath', stage, () => Atomics.store(stage.words, STOP, 1));
  return { name: 'mutex', model: mutexModel, operations: operationsOf(stage.lanes) };
}

export async function killInQueue(carries: Codec<number> | Codec<string>, seed: number): Promise<History> {
  const region = new Region({ bytes: 2 ** 20, threads: 8 });
  const queue = new Queue<unknown>({ region, capacity: CAPACITY, codec: carries as Codec<unknown> });
  const stage: Items = { ...stageOf(queue, seed), text: carries.name === 'string', early: true };
  await killInTurn('tradeUntilDeath', stage, (own) => own.do('close', 0, () => queue.close()));
  return { name: `queue of ${carries.name}`, model: queueModel(CAPACITY), operations: operationsOf(stage.lanes) };
}

const CAPACITY = 2;
