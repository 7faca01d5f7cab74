import { bridge } from './bridge.bench.ts';
import { latencies } from './latency.bench.ts';
import { locks } from './locks.bench.ts';
import { memory } from './memory.bench.ts';
import { payloads } from './payloads.bench.ts';
import { pipelines } from './pipelines.bench.ts';
import { primitives } from './primitives.bench.ts';
import { programs } from './programs.bench.ts';
import { queues } from './queues.bench.ts';
import type { Scenario } from './scenario.ts';
import { startups } from './startup.bench.ts';
import { structs } from './struct.bench.ts';
import { tasks } from './tasks.bench.ts';

/** All scenarios, in the order in which they are run and reported. */
export const scenarios: readonly Scenario[] = [
  ...locks,
  ...primitives,
  ...queues,
  ...latencies,
  ...structs,
  ...payloads,
  ...tasks,
  ...startups,
  ...memory,
  ...bridge,
  ...pipelines,
  ...programs,
];
