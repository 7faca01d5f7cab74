/** Imported before the library: as on a machine with one core, a thread that cannot go on does not try again, but parks. */
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';

os.availableParallelism = () => 1;
syncBuiltinESMExports();
