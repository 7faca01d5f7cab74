import { test } from 'uvu';
import { sync } from './kit/explore/scenarios.ts';
import { sweep } from './kit/explore/sweep.ts';

sweep(sync, ['next to notify', 'share']);

test.run();
