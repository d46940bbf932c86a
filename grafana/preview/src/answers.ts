// Asks the analytics server, and makes of its answer the frame that the data source Infinity makes.
import { DataFrame, FieldType, TimeRange, toDataFrame } from '@grafana/data';

import { Target } from './dashboard';
import { Values, fill } from './fill';

export class Answers {
  constructor(private readonly range: TimeRange) {}

  /** The frame of one question; the server of the preview passes it on. */
  async frames(target: Target, values: Values): Promise<DataFrame[]> {
    const times = { __from: this.range.from.toISOString(), __to: this.range.to.toISOString() };
    const answer = await fetch(`/answers${fill(target.url!, { ...values, ...times })}`);
    if (!answer.ok) {
      throw new Error(`${await answer.text()}: ${target.url}`);
    }
    const found = [at(await answer.json(), target.root_selector!) ?? []].flat();
    const fields = target.columns!.map(({ selector, text, type }) => ({
      name: text,
      type: type === 'timestamp' ? FieldType.time : FieldType.string,
      values: found.map((item) => written(at(item, selector), type)),
    }));
    return [toDataFrame({ refId: target.refId, fields })];
  }
}

function at(value: any, path: string): any {
  return path.split('.').reduce((inside, name) => inside?.[name], value);
}

function written(value: unknown, type: string): unknown {
  if (value === null || value === undefined) {
    return null;
  }
  return type === 'timestamp' ? Date.parse(String(value)) : String(value);
}
