import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { attach, share } from '../../lib/memory/handles.ts';
import type { CrewFunction, FromWorker, Order } from './crew.ts';
// the classes whose handles may come
import '../../lib/queue/broadcast.ts';
import '../../lib/queue/pipe.ts';
import '../../lib/queue/queue.ts';
import '../../lib/sync/barrier.ts';
import '../../lib/sync/condition.ts';
import '../../lib/sync/event.ts';
import '../../lib/sync/latch.ts';
import '../../lib/sync/mutex.ts';
import '../../lib/sync/rlock.ts';
import '../../lib/sync/rwlock.ts';
import '../../lib/sync/semaphore.ts';
import '../../lib/sync/value.ts';

// The entry of a crew's threads: a thread ends by itself when its function is done and nothing is pending.

const { module, name, index, args } = workerData as Order;
const port = parentPort;
if (!port) throw new Error('crew-worker runs in a worker only');
const functions = (await import(module)) as Record<string, CrewFunction<unknown, unknown>>;
const run = functions[name];
if (!run) throw new Error(`${module} exports no ${name}`);
const given = attach(args);
const go = once(port, 'message');
port.postMessage({ ready: true } satisfies FromWorker);
await go;
port.postMessage({ result: share(await run(given, index)) } satisfies FromWorker);
