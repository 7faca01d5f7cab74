import { test } from 'uvu';
import { queues } from './kit/explore/scenarios.ts';
import { sweep } from './kit/explore/sweep.ts';

sweep(queues, ['cell', 'record', 'tail']);

test.run();
