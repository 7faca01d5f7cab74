import { createHistogram } from 'node:perf_hooks';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Histogram } from '../lib/pool/histogram.ts';

/** Whether `is` is no less than `exact`, and by no more than a bucket more. */
function isCloseAbove(is: number, exact: number): boolean {
  return is >= exact && is <= exact * (1 + 1 / 64);
}

test('with nothing counted all figures are zero', () => {
  assert.equal(new Histogram().times, { mean: 0, p50: 0, p99: 0, max: 0 });
});

test('one time is all figures, exactly, however short or long', () => {
  for (const ms of [0, 1e-9, 0.000_25, 1, 1234.5, 1e9, 1e12]) {
    const histogram = new Histogram();
    histogram.record(ms);
    assert.equal(histogram.times, { mean: ms, p50: ms, p99: ms, max: ms }, `${ms} ms`);
  }
});

test('a time below zero, as two clocks give it, counts as zero', () => {
  const histogram = new Histogram();
  histogram.record(-0.001);
  assert.equal(histogram.times, { mean: 0, p50: 0, p99: 0, max: 0 });
});

test('half of the times do not exceed the median, and 99 of 100 not the 99th percentile, in each magnitude', () => {
  for (const unit of [1e-5, 1e-2, 1, 1e3, 1e6]) {
    const histogram = new Histogram();
    for (let i = 1; i <= 1000; i++) histogram.record(i * unit);
    const { mean, p50, p99, max } = histogram.times;
    assert.ok(Math.abs(mean / unit - 500.5) < 1e-6, `mean ${mean}`);
    assert.ok(isCloseAbove(p50, 500 * unit), `p50 ${p50} of ${unit}`);
    assert.ok(isCloseAbove(p99, 990 * unit), `p99 ${p99} of ${unit}`);
    assert.is(max, 1000 * unit);
  }
});

test("skewed times have the percentiles that Node's own histogram gives", () => {
  const [ours, nodes] = [new Histogram(), createHistogram()];
  for (let i = 1; i <= 10_000; i++) {
    const ns = Math.round(1000 + 5e9 / i ** 1.5);
    ours.record(ns / 1e6);
    nodes.record(ns);
  }
  const { p50, p99, max } = ours.times;
  for (const [is, exact] of [
    [p50, nodes.percentile(50) / 1e6],
    [p99, nodes.percentile(99) / 1e6],
  ] as const)
    assert.ok(Math.abs(is / exact - 1) < 1 / 64, `${is} ms where Node says ${exact}`);
  assert.ok(Math.abs(max / (nodes.max / 1e6) - 1) < 1 / 500, `${max} ms where Node says ${nodes.max}`);
});

test('many of one time count at once', () => {
  const histogram = new Histogram();
  histogram.record(1, 99);
  histogram.record(101, 1);
  const { mean, p50, p99, max } = histogram.times;
  assert.is(mean, 2);
  assert.ok(isCloseAbove(p50, 1));
  assert.ok(isCloseAbove(p99, 1));
  assert.is(max, 101);
});

test.run();
