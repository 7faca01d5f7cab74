// Many tiny records of a fixed layout: how late the flights of each hour of the day are, of 200,000 flights.
import process from 'node:process';
import { isDeepStrictEqual } from 'node:util';
import { Pool, pipeline, type WorkerModule } from '../lib/index.ts';
import type * as Stages from './flights.worker.ts';
import { departed, flight, type Hour } from './flights.worker.ts';

const work = new URL('./flights.worker.js', import.meta.url) as URL & WorkerModule<typeof Stages>;
const pool = new Pool<typeof Stages>(work, { threads: 1 });

const line = pipeline({ module: work, name: 'read' }, { codec: flight }).map(work, 'departure', {
  codec: departed,
  views: true,
});
const hours = await line.to<Hour[]>({ module: work, name: 'byHour' }, { views: true });
const alone = await pool.spawn('alone').join();
await pool.close();

const flights = hours.reduce((sum, hour) => sum + hour.flights, 0);
console.log(`flights: ${whole(flights)} records, how late they are by the hour of departure\n`);
console.log('  hour    flights   mean delay   15 min late   worst');
for (const [hour, { flights, delay, late, worst }] of hours.entries()) {
  if (hour % 3 !== 0) continue;
  const cells = [`${hour}`, whole(flights), `${(delay / flights || 0).toFixed(1)} min`, `${percent(late, flights)} %`];
  console.log(`  ${cells.map((cell, i) => cell.padStart([4, 10, 12, 13][i] ?? 0)).join(' ')}${`${worst}`.padStart(8)}`);
}
const { seconds, stages } = line.stats();
console.log(`
  ${stages.length} threads   ${whole(flights / seconds)} records a second, threads' start and the file's reading included
  through     ${stages.map(({ name, out }) => `${name} ${whole(out)}`).join(', ')}`);
const same = isDeepStrictEqual(hours, alone);
console.log(same ? '  one thread gave the same answer' : '  the two answers DIFFER');
process.exitCode = same ? 0 : 1;

function percent(part: number, all: number): string {
  return ((100 * part) / all || 0).toFixed(1);
}

function whole(number: number): string {
  return Math.round(number).toLocaleString('en');
}

// Output:
// flights: 200,000 records, how late they are by the hour of departure
//
//   hour    flights   mean delay   15 min late   worst
//      0        697     41.9 min        46.2 %    1403
//      3         11    142.6 min       100.0 %     245
//      6     13,048     -1.3 min        10.2 %     404
//      9     12,226      2.8 min        17.6 %     245
//     12     12,022      5.9 min        21.4 %     370
//     15     12,095      8.2 min        24.2 %     463
//     18     11,702     10.7 min        27.3 %     600
//     21      7,206     17.4 min        34.1 %     405
//
//   3 threads   … records a second, threads' start and the file's reading included
//   through     source 200,000, departure 200,000, byHour 200,000
//   one thread gave the same answer
