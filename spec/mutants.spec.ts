import { test } from 'uvu';
import { judgeAll } from './kit/explore/judge.ts';
import { equivalentProtocols, equivalents, mutants, protocols } from './kit/explore/mutants.ts';

await judgeAll({
  mutants,
  protocols,
  equivalents,
  equivalentProtocols,
  faults: [
    ['never switches', 'lock by load and store'],
    ['never kills', 'the tail is noted before the claim'],
    ['knows no deadlines', 'a lock handed to nobody is not taken back'],
    ['is blind for threads', 'a consumer that was overtaken takes the ring for empty'],
  ],
});

test.run();
