import { Region } from '../../../lib/memory/region.ts';
import { type Codec, codec } from '../../../lib/queue/codec.ts';
import { Queue } from '../../../lib/queue/queue.ts';
import { Mutex } from '../../../lib/sync/mutex.ts';
import { RwLock } from '../../../lib/sync/rwlock.ts';
import { Semaphore } from '../../../lib/sync/semaphore.ts';
import { crew } from '../crew.ts';
import { newClock, newLanes, type Operation, operationsOf } from './lane.ts';
import { linearize, type Model, tell, type Verdict } from './linearize.ts';
import { mutexModel, queueModel, rwlockModel, semaphoreModel } from './models.ts';
import type { Items, Recorded, Stage } from './work.ts';

// Records what real threads do to real objects.

/** The operations of one object, and how it should behave. */
export interface History {
  readonly name: string;
  readonly model: Model;
  readonly operations: readonly Operation[];
}

const THREADS = 4; // on one or two cores each is often interrupted in the middle of something
const LANES = THREADS + 1;
const work = new URL('./work.js', import.meta.url);

interface Plan<T> {
  readonly name: string;
  readonly model: Model;
  readonly stage: Stage<T>;
}

/** Lets a crew go through the stages, each with an object of its own. */
async function record<T>(name: string, plans: readonly Plan<T>[]): Promise<History[]> {
  const recorded: Recorded<T> = { stages: plans.map(({ stage }) => stage), threads: THREADS };
  await crew(THREADS, work, name, recorded);
  return plans.map(({ name, model, stage }) => ({ name, model, operations: operationsOf(stage.lanes) }));
}

function stageOf<T>(object: T, seed: number, operations: number): Stage<T> {
  const words = new Int32Array(new SharedArrayBuffer(8));
  return { object, clock: newClock(), lanes: newLanes(LANES, Math.ceil(operations / LANES)), seed, words };
}

function newRegion(): Region {
  return new Region({ bytes: 2 ** 20, threads: 8 });
}

export async function recordMutex(operations: number, seed: number): Promise<History[]> {
  const mutex = new Mutex({ region: newRegion() });
  return record('useMutex', [{ name: 'mutex', model: mutexModel, stage: stageOf(mutex, seed, operations) }]);
}

export async function recordSemaphore(operations: number, seed: number): Promise<History[]> {
  const region = newRegion();
  const plans = [2, 3].map((permits) => ({
    name: `semaphore of ${permits}`,
    model: semaphoreModel(permits),
    stage: stageOf(new Semaphore({ region, permits, max: permits }), seed, operations / 2),
  }));
  return record('useSemaphore', plans);
}

export async function recordRwLock(operations: number, seed: number): Promise<History[]> {
  const lock = new RwLock({ region: newRegion() });
  return record('useRwLock', [{ name: 'rwlock', model: rwlockModel, stage: stageOf(lock, seed, operations) }]);
}

/** Numbers in the slots, numbers behind the slots, and blocks. */
const CODECS = [codec.i32, codec.f64, codec.string].map((each) => each as Codec<unknown>);
const STARTS = [2 ** 31 - 400, 2 ** 32 - 400]; // of positions: they wrap soon

export async function recordQueue(operations: number, seed: number): Promise<History[]> {
  const region = newRegion();
  const cases = CODECS.flatMap((each) => [1, 2, 3].map((capacity) => ({ codec: each, capacity })));
  const plans = cases.map(({ codec, capacity }, at) => {
    const queue = new Queue<unknown>({ region, capacity, codec, position: STARTS[at % 2] ?? 0 });
    const stage = stageOf(queue, seed + at, operations / cases.length);
    // three lanes produce and two consume; these record more than they take, since they find it empty
    stage.words[0] = 3;
    const lanes = stage.lanes.map((words, lane) =>
      lane % 2 === 0 ? words : (newLanes(1, words.length)[0] as Int32Array),
    );
    const items: Items = { ...stage, lanes, text: codec.name === 'string', early: at % 4 === 3 };
    return { name: `queue of ${capacity} ${codec.name}`, model: queueModel(capacity), stage: items };
  });
  return record('useQueue', plans);
}

export const RECORDERS: Readonly<Record<string, (operations: number, seed: number) => Promise<History[]>>> = {
  mutex: recordMutex,
  queue: recordQueue,
  semaphore: recordSemaphore,
  rwlock: recordRwLock,
};

/** The verdict on a history. Throws what is wrong with it. */
export function checked({ name, model, operations }: History): Verdict {
  const verdict = linearize(model, operations);
  if (verdict.refusal) throw new Error(`${name}: ${tell(verdict.refusal)}`);
  return verdict;
}
