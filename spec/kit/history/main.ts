// The long form of the recorded histories: npm run histories -- [PATTERN] [--operations N] [--seed N]
// PATTERN is a regular expression for the names of objects; they share the operations.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { campaign, described } from './campaign.ts';
import { RECORDERS } from './record.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    operations: { type: 'string', default: '10000000' },
    seed: { type: 'string', default: `${Date.now() % 2 ** 31}` },
  },
});
const [operations, seed] = [Number(values.operations), Number(values.seed)];
if (!(operations >= 1)) throw new RangeError(`--operations must be a number of at least 1: got ${values.operations}`);
if (!Number.isInteger(seed)) throw new RangeError(`--seed must be a whole number: got ${values.seed}`);

const pattern = new RegExp(positionals[0] ?? '');
const recorders = Object.entries(RECORDERS).filter(([name]) => pattern.test(name));
const all = { operations: 0, histories: 0 };
console.log(`seed ${seed}`);
for (const [name, record] of recorders) {
  const start = performance.now();
  const sum = await campaign(record, { operations: operations / recorders.length, seed });
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${name}: ${described(sum)}, ${seconds} s`);
  all.operations += sum.operations;
  all.histories += sum.histories;
}
console.log(`\n${all.operations.toLocaleString('en')} operations in ${all.histories} histories, all linearizable`);
process.exitCode = all.histories > 0 ? 0 : 1;
