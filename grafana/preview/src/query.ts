// Asks Prometheus, and makes of its answers the data frames that Grafana's data source makes.
import { DataFrame, FieldType, Labels, TimeRange, rangeUtil, toDataFrame } from '@grafana/data';

import { Annotation, Panel, Target } from './dashboard';
import { Values, fill } from './fill';

interface Series {
  metric: Labels;
  value?: [number, string];
  values?: Array<[number, string]>;
}

export interface Exemplar {
  time: number;
  value: number;
}

export interface Mark {
  name: string;
  colour: string;
  from: number;
  to: number;
  region: boolean;
}

export class Prometheus {
  constructor(
    private readonly url: string,
    private readonly range: TimeRange,
  ) {}

  private async ask(path: string, asked: Record<string, string>): Promise<any> {
    const answer = await fetch(`${this.url}/api/v1/${path}`, {
      method: 'POST',
      body: new URLSearchParams(asked),
    });
    const body = await answer.json();
    if (body.status !== 'success') {
      throw new Error(`${body.error}: ${asked.query}`);
    }
    return body.data;
  }

  private seconds(): [number, number] {
    return [this.range.from.valueOf() / 1000, this.range.to.valueOf() / 1000];
  }

  private async course(expr: string, step: number): Promise<Series[]> {
    const [start, end] = this.seconds().map((at) => Math.floor(at / step) * step);
    const asked = { query: expr, start: `${start}`, end: `${end}`, step: `${step}` };
    return (await this.ask('query_range', asked)).result;
  }

  private async now(expr: string): Promise<Series[]> {
    return (await this.ask('query', { query: expr, time: `${this.seconds()[1]}` })).result;
  }

  /** The frames of one query. */
  async frames(target: Target, values: Values, many: boolean): Promise<DataFrame[]> {
    const expr = fill(target.expr, values);
    if (target.format === 'table') {
      return [table(target, await this.now(expr), many)];
    }
    const step = Number(values.__interval_ms) / 1000;
    const found = await (target.instant ? this.now(expr) : this.course(expr, step));
    if (target.format === 'heatmap') {
      return [cells(target, found, step * 1000)];
    }
    return found.map((series) => frame(target, series, step * 1000));
  }

  /** The exemplars of a panel; of those close together the one farthest from the mean. */
  async exemplars(panel: Panel, values: Values): Promise<Exemplar[]> {
    const [start, end] = this.seconds();
    const found: Exemplar[] = [];
    for (const target of panel.targets.filter((one) => one.exemplar)) {
      const asked = { query: fill(target.expr, values), start: `${start}`, end: `${end}` };
      for (const series of await this.ask('query_exemplars', asked)) {
        for (const one of series.exemplars) {
          found.push({ time: Number(one.timestamp) * 1000, value: Number(one.value) });
        }
      }
    }
    const mean = found.reduce((sum, one) => sum + one.value, 0) / found.length;
    const chosen = new Map<number, Exemplar>();
    for (const one of found) {
      const slot = Math.floor(one.time / (3 * Number(values.__interval_ms)));
      const before = chosen.get(slot);
      if (before === undefined || Math.abs(one.value - mean) > Math.abs(before.value - mean)) {
        chosen.set(slot, one);
      }
    }
    return [...chosen.values()];
  }

  /** The times of an annotation; what goes on for several steps is a region. */
  async marks(annotation: Annotation, values: Values): Promise<Mark[]> {
    const step = rangeUtil.intervalToMs(annotation.step) / 1000;
    const found: Mark[] = [];
    for (const series of await this.course(fill(annotation.expr, values), step)) {
      let last: Mark | undefined;
      for (const [at, value] of series.values ?? []) {
        const time = at * 1000;
        if (Number(value) === 0) {
          last = undefined;
        } else if (last !== undefined && time - last.to <= step * 1000) {
          last.to = time;
          last.region = true;
        } else {
          const { name, iconColor: colour } = annotation;
          last = { name, colour, from: time, to: time, region: false };
          found.push(last);
        }
      }
    }
    return found;
  }
}

function legend(target: Target, labels: Labels): string {
  if (target.legendFormat !== '__auto') {
    return target.legendFormat.replace(/{{\s*(\w+)\s*}}/g, (_, name: string) => labels[name] ?? '');
  }
  const text = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return text.length > 0 ? `{${text.join(', ')}}` : 'Value';
}

function frame(target: Target, series: Series, interval: number): DataFrame {
  const points = series.values ?? (series.value === undefined ? [] : [series.value]);
  return toDataFrame({
    refId: target.refId,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        config: { interval },
        values: points.map(([at]) => at * 1000),
      },
      {
        name: 'Value',
        type: FieldType.number,
        labels: series.metric,
        config: { displayNameFromDS: legend(target, series.metric) },
        values: points.map(([, value]) => Number(value)),
      },
    ],
  });
}

/** Buckets, each with its own count instead of that of all up to its bound. */
function cells(target: Target, found: Series[], interval: number): DataFrame {
  const bound = (series: Series) => (series.metric.le === '+Inf' ? Infinity : +series.metric.le);
  const sorted = [...found].sort((one, other) => bound(one) - bound(other));
  const times = [...new Set(sorted.flatMap((one) => (one.values ?? []).map(([at]) => at)))].sort();
  const upTo = sorted.map((one) => new Map((one.values ?? []).map(([at, n]) => [at, Number(n)])));
  return toDataFrame({
    refId: target.refId,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        config: { interval },
        values: times.map((at) => at * 1000),
      },
      ...sorted.map((series, row) => ({
        name: series.metric.le,
        type: FieldType.number,
        values: times.map(
          (at) => (upTo[row].get(at) ?? 0) - (row === 0 ? 0 : (upTo[row - 1].get(at) ?? 0)),
        ),
      })),
    ],
  });
}

function table(target: Target, found: Series[], many: boolean): DataFrame {
  const names = [...new Set(found.flatMap((series) => Object.keys(series.metric)))].sort();
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: found.map((one) => one.value![0] * 1000) },
      ...names.map((name) => ({
        name,
        type: FieldType.string,
        values: found.map((one) => one.metric[name] ?? ''),
      })),
      {
        name: many ? `Value #${target.refId}` : 'Value',
        type: FieldType.number,
        values: found.map((one) => Number(one.value![1])),
      },
    ],
  });
}
