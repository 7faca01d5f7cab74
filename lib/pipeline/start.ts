import { Worker } from 'node:worker_threads';
import { TaskError } from '../memory/errors.ts';
import { share } from '../memory/handles.ts';
import { type Region, threadEnded } from '../memory/region.ts';
import { Thread } from '../pool/thread.ts';
import { type Boot, type Call, entry as worker } from '../pool/worker.ts';
import { entry } from './thread.ts';

/**
 * Starts a thread of a pipeline, as `pool.spawn` does, without a pool, which would start threads of its own. Throws TaskError
 * when what it is given cannot be cloned.
 */
export function startThread(region: Region, name: string, job: 'stage' | 'source' | 'sink', place: object): Thread {
  const what = `stage "${name}"`;
  try {
    const call = share<Call>({ name: job, args: [place] });
    const workerData: Boot = {
      ringfencePool: { region: share(region), pool: name, module: entry, call },
      workerData: undefined,
    };
    const started = new Worker(new URL(worker), { workerData, name: what });
    const id = started.threadId;
    return new Thread(started, what, () => threadEnded(id));
  } catch (cause) {
    throw new TaskError(`${what} was not started: ${cause}`, { cause });
  }
}
