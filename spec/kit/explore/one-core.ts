/**
 * Imported before the library: as on a machine with one core, a thread that cannot go on does not try again, but parks. And
 * nothing keeps the event loop alive for the promises of virtual threads.
 */
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import workers from 'node:worker_threads';

os.availableParallelism = () => 1;
Object.assign(workers, {
  MessageChannel: class {
    readonly port1 = { ref() {}, unref() {}, on() {} };
  },
});
syncBuiltinESMExports();
