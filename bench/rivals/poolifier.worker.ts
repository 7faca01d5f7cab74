import { ThreadWorker } from 'poolifier';
import { long, object, short, trivial } from './tasks.ts';

const worker: ThreadWorker<unknown, unknown> = new ThreadWorker<unknown, unknown>({
  trivial: (x) => trivial(x as number),
  short: (x) => short(x as number),
  long: (x) => long(x as number),
  object: (order) => object(order as Parameters<typeof object>[0]),
});

export default worker;
