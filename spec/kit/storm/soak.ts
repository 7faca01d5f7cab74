// What `npm run soak` runs: node dist/spec/kit/storm/soak.js [--minutes N] [--seed N]
import { parseArgs } from 'node:util';
import { campaigns } from './campaigns.ts';
import { storm, summary } from './storm.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const seconds = 60 * Number(values.minutes);
const start = performance.now();
const samples: { at: number; rss: number }[] = [];
const tally = await storm({
  ...{ kills: Infinity, seed: Number(values.seed), seconds, hasty: true, lanes: Object.keys(campaigns).length },
  onRound: ({ kills }) => {
    const at = (performance.now() - start) / 60_000;
    const rss = process.memoryUsage.rss() / 2 ** 20;
    samples.push({ at, rss });
    console.log(`${at.toFixed(1)} min: ${kills} kills, ${rss.toFixed(0)} MiB`);
  },
});
for (const line of summary(tally, (performance.now() - start) / 1000)) console.log(line);
console.log('region.used is as before after each campaign');
const warm = samples.slice(Math.floor(samples.length / 3));
const growth = slope(warm) * ((warm.at(-1)?.at ?? 0) - (warm[0]?.at ?? 0));
const mean = warm.reduce((sum, { rss }) => sum + rss, 0) / warm.length;
console.log(
  `resident memory after the first third: ${mean.toFixed(0)} MiB, ${growth.toFixed(1)} MiB more by its slope`,
);
if (growth > mean / 10) throw new Error('the memory of the process grows');
if (tally.lost > 0 || tally.duplicates > 0) throw new Error('items were lost or doubled');

/** MiB a minute, by least squares. */
function slope(points: readonly { at: number; rss: number }[]): number {
  const n = points.length;
  const [x, y] = [points.reduce((sum, { at }) => sum + at, 0) / n, points.reduce((sum, { rss }) => sum + rss, 0) / n];
  const above = points.reduce((sum, { at, rss }) => sum + (at - x) * (rss - y), 0);
  return above / (points.reduce((sum, { at }) => sum + (at - x) ** 2, 0) || 1);
}
