import diagnostics from 'node:diagnostics_channel';
import { Worker } from 'node:worker_threads';
import * as assert from 'uvu/assert';
import { share } from '../../lib/memory/handles.ts';
import { type Death, supervise } from '../../lib/memory/region.ts';
import type { Order } from './crew.ts';

const dying = new URL('./dying.js', import.meta.url);
/** All deaths that this thread has heard of. */
export const deaths: Death[] = [];
diagnostics.subscribe('ringfence:death', (death) => deaths.push(death as Death));

/** A supervised thread that runs `name(args, index)` of kit/dying.ts until it is terminated. */
export async function victim(name: string, args: object, index = 0): Promise<Worker> {
  const order: Order = { module: dying.href, name, index, args: share(args) };
  const worker = new Worker(new URL('./crew-worker.js', import.meta.url), { workerData: order });
  supervise(worker);
  await new Promise((resolve) => worker.once('message', resolve));
  worker.postMessage('go');
  return worker;
}

/** Terminates a thread that has come so far, and gives what was repaired. */
export async function kill(worker: Worker): Promise<Death['repairs']> {
  const id = worker.threadId;
  await worker.terminate();
  const death = deaths.find(({ thread }) => thread === id);
  assert.ok(death, 'the channel told of it');
  return death.repairs;
}
