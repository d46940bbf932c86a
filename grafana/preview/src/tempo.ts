// Asks Tempo, and makes of its answer the data frame that Grafana's data source makes of spans.
import { DataFrame, FieldType, TimeRange, toDataFrame } from '@grafana/data';

import { Target } from './dashboard';
import { Values, fill } from './fill';

interface Attribute {
  key: string;
  value: { stringValue?: string; intValue?: string; doubleValue?: number; boolValue?: boolean };
}

interface Span {
  spanID: string;
  startTimeUnixNano: string;
  durationNanos: string;
  attributes?: Attribute[];
}

interface Trace {
  traceID: string;
  rootServiceName?: string;
  rootTraceName?: string;
  spanSets?: Array<{ spans: Span[] }>;
}

export class Tempo {
  constructor(
    private readonly url: string,
    private readonly range: TimeRange,
  ) {}

  /** The frame of one query for spans. */
  async frames(target: Target, values: Values): Promise<DataFrame[]> {
    const asked = new URLSearchParams({
      q: fill(target.query!, values),
      limit: String(target.limit),
      spss: String(target.spss),
      start: String(Math.floor(this.range.from.valueOf() / 1000)),
      end: String(Math.ceil(this.range.to.valueOf() / 1000)),
    });
    const answer = await fetch(`${this.url}/api/search?${asked}`);
    if (!answer.ok) {
      throw new Error(`${await answer.text()}: ${asked.get('q')}`);
    }
    return [spans((await answer.json()).traces ?? [])];
  }
}

function spans(traces: Trace[]): DataFrame {
  const rows = traces.flatMap((trace) =>
    (trace.spanSets ?? []).flatMap((set) => set.spans.map((span) => ({ trace, span }))),
  );
  const told = rows.map(
    ({ span }) => new Map((span.attributes ?? []).map((one) => [one.key, text(one)])),
  );
  const names = [...new Set(told.flatMap((one) => [...one.keys()]))].sort();
  const column = (name: string, type: FieldType, values: unknown[], config = {}) => ({
    name,
    type,
    values,
    config,
  });
  const { string, time, number } = FieldType;
  return toDataFrame({
    fields: [
      column('traceIdHidden', string, rows.map(({ trace }) => trace.traceID)),
      column('traceService', string, rows.map(({ trace }) => trace.rootServiceName ?? '')),
      column('traceName', string, rows.map(({ trace }) => trace.rootTraceName ?? '')),
      column('spanID', string, rows.map(({ span }) => span.spanID)),
      column('time', time, rows.map(({ span }) => Number(span.startTimeUnixNano) / 1e6)),
      ...names.map((name) => column(name, string, told.map((one) => one.get(name) ?? ''))),
      column('duration', number, rows.map(({ span }) => Number(span.durationNanos)), {
        unit: 'ns',
      }),
    ],
  });
}

function text({ value }: Attribute): string {
  return String(value.stringValue ?? value.intValue ?? value.doubleValue ?? value.boolValue ?? '');
}
