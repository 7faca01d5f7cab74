import workerpool from 'workerpool';
import { long, object, short, trivial } from './tasks.ts';

workerpool.worker({ trivial, short, long, object });
