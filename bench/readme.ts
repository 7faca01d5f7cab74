import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bars, scaling } from './charts.ts';
import { Misuse } from './options.ts';
import { folder, type Measured, type Results } from './results.ts';
import { type Question, titleOf } from './scenario.ts';

/** Where the charts of the README lie. */
export const CHARTS: string = fileURLToPath(new URL('../../docs/charts/', import.meta.url));

const BARS = { 'queue.svg': 'queue of i32, one at a time', 'mutex.svg': 'mutex alone' } as const;
const CURVE = 'tasks, trivial';

/** Throws where a result of these scenarios has not what the charts of the README show. */
export function demandCharts(scenarios: readonly Question[]): void {
  const titles = new Set(scenarios.map(titleOf));
  const lacking: string[] = Object.values(BARS).filter((title) => !titles.has(title));
  if (scenarios.filter(({ scaling }) => scaling?.curve === CURVE).length < 2) lacking.push(`${CURVE}, ...`);
  if (lacking.length > 0) throw new Misuse(`the charts of the README need also ${lacking.join(' and ')}`);
}

/** The three charts that the README shows, by the names of their files. */
export function readmeCharts({ scenarios, machine }: Results): Record<string, string> {
  demandCharts(scenarios);
  const titled = (title: string) => scenarios.find((candidate) => titleOf(candidate) === title) as Measured;
  return {
    'queue.svg': alone(bars(titled(BARS['queue.svg']), machine)),
    'mutex.svg': alone(bars(titled(BARS['mutex.svg']), machine)),
    'tasks.svg': alone(
      scaling(
        scenarios.filter(({ scaling }) => scaling?.curve === CURVE),
        machine,
      ),
    ),
  };
}

const MARGIN = 14;

/**
 * A chart that stands in a file of its own brings its colours, for light and dark, and the card that it stands on: a page may
 * be light where the system that shows it is dark.
 */
function alone(svg: string): string {
  const style = readFileSync(`${folder}report.css`, 'utf8');
  const colours = style.slice(0, style.indexOf('* {'));
  return `${svg.replace(/<svg[^>]*>/, (tag) => {
    const [width, height] = ['width', 'height'].map(
      (side) => Number(new RegExp(` ${side}="(\\d+)"`).exec(tag)?.[1]) + 2 * MARGIN,
    );
    const frame = `x="${-MARGIN}" y="${-MARGIN}" width="${width}" height="${height}"`;
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${-MARGIN} ${-MARGIN} ${width} ${height}">
<style>
${colours}</style>
<rect ${frame} rx="10" fill="var(--card)"/>`;
  })}\n`;
}

export function writeReadmeCharts(results: Results): void {
  mkdirSync(CHARTS, { recursive: true });
  for (const [name, svg] of Object.entries(readmeCharts(results))) writeFileSync(`${CHARTS}${name}`, svg);
}
