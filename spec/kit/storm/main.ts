// What `npm run storm` runs: node dist/spec/kit/storm/main.js [--kills N] [--seed N] [--only NAME,…]
import { parseArgs } from 'node:util';
import { campaigns } from './campaigns.ts';
import { storm, summary } from './storm.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: Object.keys(campaigns).join(',') },
  },
});
const names = values.only.split(',');
const unknown = names.find((name) => !(name in campaigns));
if (unknown !== undefined) throw new TypeError(`--only must name some of ${Object.keys(campaigns)}: got ${unknown}`);
const start = performance.now();
const tally = await storm({ kills: Number(values.kills), seed: Number(values.seed), names, say: console.log });
for (const line of summary(tally, (performance.now() - start) / 1000)) console.log(line);
if (tally.lost > 0 || tally.duplicates > 0) process.exitCode = 1;
