import { readFileSync, writeFileSync } from 'node:fs';
import { bars, latencies, scaling } from './charts.ts';
import { commandFor, crowded, describe, disturbed, folder, type Measured, type Results } from './results.ts';
import { median, type Row, titleOf } from './scenario.ts';
import { summary, type Verdict } from './targets.ts';
import { comparison, headline, number, ranked, spread } from './words.ts';

/** Where the report of the last run lies. */
export const REPORT: string = `${folder}report.html`;

/** The report as one page that opens from disk and asks the network for nothing. */
export function report(results: Results, verdicts: readonly Verdict[]): string {
  const { scenarios, machine, date, command, quick } = results;
  const style = readFileSync(`${folder}report.css`, 'utf8');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ringfence benchmarks, ${date.slice(0, 10)}</title>
<style>
${style}</style>
</head>
<body>
<header>
<h1>ringfence benchmarks</h1>
<p class="machine">${safe(describe(machine))}</p>
<p>Measured on ${date.slice(0, 16).replace('T', ' at ')} UTC by <code>${safe(command)}</code>.
${quick ? 'A quick run: few and short rounds, so read the ratios and not the last digit.' : ''}
Bars end at the median of the rounds, the thin line is their middle half; the coloured one is what the others are compared with;
scales are logarithmic unless there is a zero. Rivals take turns, and a
ratio is the median of the ratios of neighbouring rounds.</p>
</header>
<nav>${scenarios.map((scenario) => `<a href="#${idOf(scenario)}">${safe(titleOf(scenario))}</a>`).join('\n')}</nav>
<main>
${targetsOf(verdicts)}
${curves(results)}
${scenarios.map((scenario) => section(scenario, results)).join('\n')}
</main>
</body>
</html>
`;
}

export function writeReport(results: Results, verdicts: readonly Verdict[]): void {
  writeFileSync(REPORT, report(results, verdicts));
}

const safe = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const idOf = (scenario: Measured): string =>
  titleOf(scenario)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-');

function targetsOf(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return '';
  const items = verdicts.map(
    ({ state, text }) => `<li class="${state.replace(' ', '-')}"><b>${state}</b><span>${safe(text)}</span></li>`,
  );
  return `<section id="targets"><h2>${summary(verdicts)}</h2><ul class="targets">${items.join('\n')}</ul></section>`;
}

/** The scenarios that differ only in one number, together. */
function curves({ scenarios, machine }: Results): string {
  const names = [...new Set(scenarios.flatMap(({ scaling }) => scaling?.curve ?? []))];
  const families = names.map((name) => ({ name, family: scenarios.filter(({ scaling }) => scaling?.curve === name) }));
  const figures = families
    .filter(({ family }) => family.length > 1)
    .map(({ name, family }) =>
      figure(
        `${name}, ${family[0]?.better === 'more' ? 'higher' : 'lower'} is better`,
        scaling(family, machine),
        commandFor(...family),
      ),
    );
  return figures.length > 0
    ? `<section id="curves"><h2>Curves</h2><div class="grid">${figures.join('\n')}</div></section>`
    : '';
}

const figure = (caption: string, svg: string, command = ''): string =>
  `<figure>${svg}<figcaption>${safe(caption)}${command && ` <code>${safe(command)}</code>`}</figcaption></figure>`;

function section(scenario: Measured, { machine }: Results): string {
  const { how, name, better, load, rows } = scenario;
  const [title = '', ...hypothesis] = name.split(':');
  const curve = latencies(scenario, machine);
  const notes = [crowded(machine, scenario), disturbed(scenario, machine)].filter((note) => note !== undefined);
  const charts = [
    ranked(scenario).length > 0
      ? figure(`${better === 'more' ? 'longer' : 'shorter'} is better`, bars(scenario, machine))
      : '',
    curve ? figure('every single measurement, lower is better', curve) : '',
  ];
  return `<section id="${idOf(scenario)}">
<h2>${safe(title)}</h2>
<p class="hypothesis">${safe(hypothesis.join(':').trim())}</p>
<p class="headline">${safe(headline(scenario))}</p>
${notes.map((note) => `<p class="note">${safe(note)}</p>`).join('')}
<div class="grid">${charts.join('')}${table(scenario)}</div>
${rows.map((row) => (row.absent ? `<p class="absent">${safe(row.name)}: not measured, ${safe(row.absent)}</p>` : '')).join('')}
<p class="how">${safe(how)}. Load before it ${number(load)}. <code>${safe(commandFor(scenario))}</code></p>
</section>`;
}

function table(scenario: Measured): string {
  const rows = ranked(scenario);
  const [ours] = scenario.rows;
  const head = ['rival', scenario.unit, 'middle half', 'against ours', 'remark'];
  const cells = rows.map((row) => [
    row.reference ? `(${row.name})` : row.name,
    number(median(row)),
    spread(row),
    scenario.compare && ours && !ours.absent ? comparison(scenario, row, ours) : '',
    [tail(row), row.remark].filter(Boolean).join('; '),
  ]);
  const kept = head.map((_, at) => at < 2 || cells.some((row) => row[at]));
  const line = (tag: string, row: readonly string[]) =>
    `<tr>${row.flatMap((cell, at) => (kept[at] ? [`<${tag}>${safe(cell)}</${tag}>`] : [])).join('')}</tr>`;
  return `<div class="scroll"><table><thead>${line('th', head)}</thead><tbody>${cells.map((row) => line('td', row)).join('\n')}</tbody></table></div>`;
}

function tail({ percentiles }: Row): string {
  const shown = percentiles?.filter(([share]) => [0.5, 0.99, 0.999].includes(share)) ?? [];
  return shown.map(([share, value]) => `p${share * 100} ${number(value)}`).join(', ');
}
