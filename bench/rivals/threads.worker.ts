import { expose } from 'threads/worker';
import { long, object, short, trivial } from './tasks.ts';

expose({ trivial, short, long, object });
