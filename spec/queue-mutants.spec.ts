import { test } from 'uvu';
import { judgeAll } from './kit/explore/judge.ts';
import {
  equivalentQueueProtocols as equivalentProtocols,
  queueMutants as mutants,
  queueProtocols as protocols,
} from './kit/explore/queue-mutants.ts';

await judgeAll({ mutants, protocols, equivalents: [], equivalentProtocols, faults: [] });

test.run();
