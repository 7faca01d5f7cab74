import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bars, scaling } from './charts.ts';
import { Misuse } from './options.ts';
import { folder, type Measured, type Results } from './results.ts';
import { titleOf } from './scenario.ts';

/** Where the charts of the README lie. */
export const CHARTS: string = fileURLToPath(new URL('../../docs/charts/', import.meta.url));

/** The three charts that the README shows, by the names of their files. */
export function readmeCharts({ scenarios, machine }: Results): Record<string, string> {
  const named = (title: string): Measured => {
    const scenario = scenarios.find((candidate) => titleOf(candidate) === title);
    if (!scenario) throw new Misuse(`the charts of the README need the scenario "${title}", which this result has not`);
    return scenario;
  };
  const tasks = scenarios.filter((scenario) => scenario.scaling?.curve === 'tasks, trivial');
  if (tasks.length < 2) throw new Misuse('the charts of the README need the scenarios "tasks, trivial"');
  return {
    'queue.svg': alone(bars(named('queue of i32, one at a time'), machine)),
    'mutex.svg': alone(bars(named('mutex alone'), machine)),
    'tasks.svg': alone(scaling(tasks, machine)),
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
