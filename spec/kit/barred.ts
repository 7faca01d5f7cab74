// A program whose pipeline has a bar, for a spec to run with pipes in place of a terminal.
import { pipeline } from '../../lib/pipeline/pipeline.ts';
import { showProgress } from '../../lib/pipeline/progress.ts';

const work = new URL('./staging.js', import.meta.url);
const numbers = Array.from({ length: 9 }, (_, i) => i);
const records = await showProgress(pipeline(numbers, { interval: 1 }).map(work, 'uneven'), { total: 9 }).toArray();
console.log(`${records.length} records`);
