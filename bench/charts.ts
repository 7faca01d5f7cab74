import { createHash } from 'node:crypto';
import * as echarts from 'echarts';
import { crowded, type Machine, type Measured } from './results.ts';
import { median, quantile, type Row, titleOf } from './scenario.ts';
import { number, ranked } from './words.ts';

// The charts, as SVG that is drawn here and not in the browser. Colours are names of CSS variables, for light and dark.

/** Stand-ins that the library takes for colours, and the variable that each becomes. */
const COLOURS = {
  '#010101': '--ink',
  '#020202': '--faint',
  '#030303': '--ours',
  '#040404': '--other',
  '#050501': '--line1',
  '#050502': '--line2',
  '#050503': '--line3',
  '#050504': '--line4',
  '#050505': '--line5',
  '#050506': '--line6',
  '#050507': '--line7',
} as const;
const [INK, FAINT, OURS, OTHER, ...LINES] = Object.keys(COLOURS) as [string, string, string, string, ...string[]];

const WIDTH = 560;
const ROW = 42;
const NOTE = 24;
const FONT = 'system-ui, sans-serif';
const text = { color: INK, fontFamily: FONT, fontSize: 12.5 };

/** The library cannot know which font there will be: letters are at most so wide, in most of them. */
const LETTER = 0.6; // of the size of the font
echarts.setPlatformAPI({
  measureText: (drawn, font = '') => ({
    width: drawn.length * LETTER * Number.parseFloat(/[\d.]+px/.exec(font)?.[0] ?? '12'),
  }),
});

function draw(height: number, option: echarts.EChartsCoreOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  try {
    chart.setOption({ animation: false, textStyle: { fontFamily: FONT }, ...option });
    return coloured(chart.renderToSVGString());
  } finally {
    chart.dispose();
  }
}

/**
 * Numbers in the names that the library gives to things say only what was drawn before: a name comes from the chart itself, so
 * that it is the same each time, and no other on a page with several charts. Nothing happens where the pointer is.
 */
function coloured(svg: string): string {
  const still = svg.replace(/<style\s*>.*?<\/style>\s*/s, '').replaceAll(/ class="zr\d+-cls-\d+"/g, '');
  const unnamed = still.replaceAll(/zr\d+-/g, 'zr-');
  const hash = createHash('sha256').update(unnamed).digest('hex').slice(0, 8);
  const plain = unnamed.replaceAll('zr-', `zr${hash}-`);
  return Object.entries(COLOURS).reduce((drawn, [from, to]) => drawn.replaceAll(from, `var(${to})`), plain);
}

/** From the decade below the least to the decade above the greatest; linear where there is a zero. */
function scale(values: readonly number[], name: string): object {
  const [least, greatest] = [Math.min(...values), Math.max(...values)];
  const log = least > 0;
  const min = 10 ** Math.floor(Math.log10(least / 3));
  return {
    type: log ? 'log' : 'value',
    // bars of a log scale begin at 1 unless they are told otherwise
    ...(log && { min, startValue: min, max: 10 ** Math.ceil(Math.log10(greatest) + 0.05) }),
    name: `${name}${log ? ', log scale' : ''}`,
    nameLocation: 'middle',
    nameTextStyle: text,
    axisLabel: { ...text, formatter: short, hideOverlap: true },
    splitLine: { lineStyle: { color: FAINT } },
    axisLine: { show: false },
    axisTick: { show: false },
    minorTick: { show: false },
  };
}

function short(value: number): string {
  if (value >= 1e9) return `${value / 1e9} G`;
  if (value >= 1e6) return `${value / 1e6} M`;
  return value.toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

/** A bar for each rival, the best on top, with a line from the lower to the upper quarter of its rounds. */
export function bars(scenario: Measured, machine: Machine): string {
  const rows = ranked(scenario);
  const spreads = rows.map(({ figures }) => [quantile(figures, 0.25), quantile(figures, 0.75)] as const);
  const note = crowded(machine, scenario);
  const data = rows.map((row) => ({
    value: median(row),
    itemStyle: { color: row === scenario.rows[0] ? OURS : OTHER, borderRadius: 2 },
  }));
  const top = note ? NOTE + 16 : 16;
  const least = Math.min(...data.map(({ value }) => value));
  return draw(top + rows.length * ROW + 48, {
    grid: { left: 4, right: 76, top, bottom: 46 },
    title: heading(note),
    xAxis: { ...scale([...data.map(({ value }) => value), ...spreads.flat()], scenario.unit), nameGap: 28 },
    yAxis: rivals(rows),
    series: [{ type: 'bar', data, barWidth: 13 }, whiskers(spreads), names(rows, least)],
  });
}

/** The line above a chart, if it needs one. */
const heading = (note: string | undefined): object =>
  note ? { text: note, left: 0, top: 0, textStyle: { ...text, fontStyle: 'italic', fontWeight: 'normal' } } : [];

const rivals = (rows: readonly Row[]): object => ({
  type: 'category',
  inverse: true,
  data: rows.map(({ name }) => name),
  show: false,
});

/** What the library hands to whoever draws by himself. */
interface Place {
  value(at: number): number;
  coord(at: [number, number]): [number, number];
}

/** The names of the rivals, each above its bar, and its figure at the right. */
function names(rows: readonly Row[], least: number): object {
  return {
    type: 'custom',
    data: rows.map((_, index) => [least, index]),
    silent: true,
    renderItem: ({ coordSys: { x, width } }: { coordSys: { x: number; width: number } }, api: Place) => {
      const [, y] = api.coord([api.value(0), api.value(1)]);
      const row = rows[api.value(1)];
      if (!row) return undefined;
      const style = { font: `12.5px ${FONT}`, fill: INK };
      const name = row.reference ? `(${row.name})` : row.name;
      return {
        type: 'group',
        children: [
          { type: 'text', x, y: y - 22, style: { ...style, text: name } },
          { type: 'text', x: x + width + 10, y: y - 6, style: { ...style, text: number(median(row)) } },
        ],
      };
    },
  };
}

function whiskers(spreads: readonly (readonly [number, number])[]): object {
  return {
    type: 'custom',
    data: spreads.map(([from, to], index) => [index, from, to]),
    encode: { x: [1, 2], y: 0 },
    renderItem: (_: unknown, api: Place) => {
      const [x1, y] = api.coord([api.value(1), api.value(0)]);
      const [x2] = api.coord([api.value(2), api.value(0)]);
      return { type: 'line', shape: { x1, y1: y, x2, y2: y }, style: { stroke: INK, lineWidth: 1.5 } };
    },
  };
}

interface Line {
  readonly name: string;
  readonly ours: boolean;
  readonly points: readonly (readonly [x: string, y: number])[];
}

const LEGEND_ROW = 27;
const GAP = 20;
const ICON = 18;

/** In how many rows the library will put the names: it goes on in the next one where a name does not fit. */
function legendRows(series: readonly Line[]): number {
  let [rows, used] = [1, 0];
  for (const { name } of series) {
    const width = ICON + 5 + name.length * LETTER * text.fontSize + GAP;
    if (used + width > WIDTH + GAP && used > 0) [rows, used] = [rows + 1, 0];
    used += width;
  }
  return rows;
}

interface Frame {
  readonly xs: readonly string[];
  readonly axis: string;
  readonly unit: string;
  readonly note: string | undefined;
}

function lines({ xs, axis, unit, note }: Frame, series: readonly Line[]): string {
  const all = series.flatMap(({ points }) => points.map(([, y]) => y));
  const legend = legendRows(series) * LEGEND_ROW;
  const top = note ? NOTE + 12 : 12;
  return draw(278 + top + legend, {
    title: heading(note),
    grid: { left: 62, right: 18, top, bottom: 54 + legend },
    legend: {
      bottom: 0,
      left: 0,
      itemGap: GAP,
      itemWidth: ICON,
      icon: 'roundRect',
      itemHeight: 4,
      textStyle: text,
    },
    xAxis: {
      type: 'category',
      data: xs,
      name: axis,
      nameLocation: 'middle',
      nameGap: 30,
      nameTextStyle: text,
      axisLabel: text,
      axisLine: { lineStyle: { color: FAINT } },
      axisTick: { show: false },
    },
    yAxis: { ...scale(all, unit), nameGap: 46 },
    series: series.map(({ name, ours, points }, index) => ({
      type: 'line',
      name,
      data: points.map(([x, y]) => [x, y]),
      symbolSize: ours ? 8 : 5,
      symbol: 'circle',
      z: ours ? 4 : 3,
      color: ours ? OURS : LINES[index % LINES.length],
      lineStyle: { width: ours ? 3 : 1.5, type: index > LINES.length ? 'dashed' : 'solid' },
    })),
  });
}

/** One line for each rival over the `x` of the scenarios of one curve. */
export function scaling(family: readonly Measured[], machine: Machine): string {
  const [first] = family;
  if (!first?.scaling) throw new Error(`${first && titleOf(first)} is part of no curve`);
  const sorted = family.toSorted((a, b) => (a.scaling?.x ?? 0) - (b.scaling?.x ?? 0));
  const label = ({ scaling }: Measured) => (scaling?.x ?? 0).toLocaleString('en-US');
  const known = [...new Set(sorted.flatMap(({ rows }) => rows.map(({ name }) => name)))];
  const series = known.map((name): Line => {
    const points = sorted.flatMap((scenario) =>
      scenario.rows
        .filter((row) => row.name === name && !row.absent)
        .map((row) => [label(scenario), median(row)] as const),
    );
    return { name, ours: name === first.rows[0]?.name, points };
  });
  const { scaling, unit } = first;
  return lines(
    { xs: sorted.map(label), axis: scaling.axis, unit, note: crowded(machine, ...family) },
    series.filter(({ points }) => points.length > 1),
  );
}

/** How the single measurements of each rival are distributed: the share below, and the value. */
export function latencies(scenario: Measured, machine: Machine): string | undefined {
  const rows = scenario.rows.filter(({ percentiles }) => percentiles);
  if (rows.length === 0) return undefined;
  const name = (share: number) => (share === 0 ? 'least' : share === 1 ? 'most' : `${+(share * 100).toPrecision(4)} %`);
  const xs = rows[0]?.percentiles?.map(([share]) => name(share)) ?? [];
  const series = rows.map((row): Line => {
    const points = row.percentiles?.map(([share, value]) => [name(share), value] as const) ?? [];
    return { name: row.name, ours: row === scenario.rows[0], points };
  });
  const axis = 'share of the measurements below';
  return lines({ xs, axis, unit: scenario.unit, note: crowded(machine, scenario) }, series);
}
