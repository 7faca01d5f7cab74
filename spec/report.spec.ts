import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { report } from '../bench/report.ts';
import { resultsOf, row, scenarioOf } from './kit/measured.ts';

// Of the browser, in which some of the functions here run.
declare const document: { readonly documentElement: { readonly scrollWidth: number }; readonly body: unknown };
declare function getComputedStyle(element: unknown): { readonly fill: string; readonly backgroundColor: string };

const percentiles = [0, 0.5, 1].map((share) => [share, 10 + share] as const);
const lines = (x: number) => ({
  name: `counter, ${x} threads: it counts`,
  threads: x,
  scaling: { curve: 'counter', axis: 'threads', x },
});
const scenarios = [
  scenarioOf([
    row('ours <b>', [14, 15, 16], { percentiles }),
    row('theirs', [150, 151, 152], { percentiles }),
    row('gone', [], { absent: 'no compiler' }),
  ]),
  scenarioOf([row('ours', [1]), row('theirs', [0])], { name: 'memory: nothing is lost', compare: false }),
  scenarioOf([row('ours', [10]), row('theirs', [1000])], lines(1)),
  scenarioOf([row('ours', [20]), row('theirs', [500])], lines(4)),
];
const html = report(resultsOf(scenarios), [{ state: 'met', text: 'mutex alone: ours = 15' }]);

const text = suite('report');
const look = suite('report in a browser');

text('it names the machine, the commit, the command, and how to measure each scenario again', () => {
  assert.match(html, 'AMD EPYC &lt;1&gt;, 2 cores | Node 20.20.2');
  assert.match(html, 'commit abc1234');
  assert.match(html, '<code>npm run bench -- --quick</code>');
  assert.match(html, "npm run bench -- --only '^mutex alone:'");
  assert.match(html, "npm run bench -- --only '^(counter, 1 threads|counter, 4 threads):'");
});

text('it says who is first, who is absent and why, and what the targets came to', () => {
  assert.match(html, 'First: ours &lt;b&gt;');
  assert.match(html, 'gone: not measured, no compiler');
  assert.match(html, 'Targets: 1 of 1 met');
});

text('a chart with more threads than cores says so', () => {
  const said = html.match(/>4 threads on 2 cores: they take turns<\/text>/g);
  assert.is(said?.length, 2, 'of its bars, and of the curve that it is a point of');
});

text('no two things on the page have the same name, so that no chart is clipped by the frame of another one', () => {
  const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
  assert.ok(ids.some((id) => id?.startsWith('zr')));
  assert.is(new Set(ids).size, ids.length);
});

text('it is one file: no script, no address but the names of XML', () => {
  assert.not.match(html, /<script|<link|@import|url\((?!#)/);
  const addresses = html.match(/https?:[^"]+/g) ?? [];
  assert.equal([...new Set(addresses)].sort(), ['http://www.w3.org/1999/xlink', 'http://www.w3.org/2000/svg']);
});

function browserPath(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const { PATH = '' } = process.env;
  const folders = PATH.split(delimiter);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const executablePath = browserPath();
const within = mkdtempSync(join(tmpdir(), 'ringfence-report-'));
const file = join(within, 'report.html');
let browser: Browser;

look.before(async () => {
  writeFileSync(file, html);
  browser = await chromium.launch({ ...(executablePath && { executablePath }), args: ['--no-sandbox'] });
});
look.after(async () => {
  await browser.close();
  rmSync(within, { recursive: true });
});

/** The report as it looks so wide and in these colours, and what it asked for. */
async function opened(width: number, colorScheme: 'light' | 'dark'): Promise<{ page: Page; requests: string[] }> {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  const requests: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(pathToFileURL(file).href);
  return { page, requests };
}

look('nothing is asked for but the file itself', async () => {
  const { page, requests } = await opened(1200, 'light');
  assert.equal(requests, [pathToFileURL(file).href]);
  await page.close();
});

look('every chart of bars has one for each rival that was measured, and ours has its own colour', async () => {
  const { page } = await opened(1200, 'light');
  for (const [id, count] of Object.entries({ 'mutex-alone': 2, memory: 1, 'counter-1-threads': 2 })) {
    const bars = page.locator(
      `#${id} figure:first-child path[fill="var(--ours)"], #${id} figure:first-child path[fill="var(--other)"]`,
    );
    const widths = await bars.evaluateAll((all) =>
      all.map((bar) => (bar as unknown as { getBBox(): { width: number } }).getBBox().width),
    );
    assert.is(widths.filter((width) => width > 1).length, count, `${id}: ${widths}`);
    const colour = await page
      .locator(`#${id} path[fill="var(--ours)"]`)
      .first()
      .evaluate((bar) => getComputedStyle(bar).fill);
    assert.is(colour, 'rgb(194, 65, 12)');
  }
  await page.close();
});

look('a longer bar is a greater figure, by the logarithm', async () => {
  const { page } = await opened(1200, 'light');
  const width = (colour: string) =>
    page
      .locator(`#counter-1-threads path[fill="var(--${colour})"]`)
      .first()
      .evaluate((bar) => (bar as unknown as { getBBox(): { width: number } }).getBBox().width);
  const [ours, theirs] = [await width('ours'), await width('other')];
  assert.ok(Math.abs(theirs / ours - 3) < 0.5, `10 and 1,000 from 1 on: ${ours} and ${theirs}`);
  await page.close();
});

look('curves have a line for each rival', async () => {
  const { page } = await opened(1200, 'light');
  const stroked = (where: string) =>
    page
      .locator(`${where} path[fill="none"][stroke^="var(--line"], ${where} path[fill="none"][stroke="var(--ours)"]`)
      .count();
  assert.ok((await stroked('#curves')) >= 2);
  assert.ok((await stroked('#mutex-alone figure:nth-of-type(2)')) >= 2);
  await page.close();
});

for (const width of [360, 1200]) {
  look(`nothing sticks out at a width of ${width}`, async () => {
    const { page } = await opened(width, 'light');
    assert.is(await page.evaluate(() => document.documentElement.scrollWidth), width);
    await page.close();
  });
}

look('dark is dark, in the charts too', async () => {
  const { page } = await opened(1200, 'dark');
  assert.is(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(22, 24, 27)');
  const label = page.locator('#mutex-alone svg text').first();
  assert.is(await label.evaluate((each) => getComputedStyle(each).fill), 'rgb(230, 227, 222)');
  await page.close();
});

text.run();
if (executablePath) look.run();
else console.log('total: report in a browser skipped, for there is no Chromium in the PATH');
