// Variables and intervals, filled in as Grafana fills them.
import { TimeRange, rangeUtil } from '@grafana/data';

import { Dashboard, NotDrawnError, Variable } from './dashboard';

/** The interval at which applications export, as provisioned: `timeInterval` of the data source. */
const SCRAPE = '15s';
const ALL = '.*'; // what all of a variable is written as, in whatever form

export type Values = Record<string, string>;

function value(variable: Variable): string {
  if (variable.type === 'constant') {
    return String(variable.query);
  }
  const chosen = [variable.current?.value ?? []].flat();
  if (chosen.length === 1 && chosen[0] === '$__all') {
    if (variable.allValue === undefined) {
      throw new NotDrawnError(`Variable ${variable.name}: all of it has no value.`);
    }
    return variable.allValue;
  }
  if (chosen.length !== 1) {
    throw new NotDrawnError(`Variable ${variable.name} is not set.`);
  }
  return chosen[0];
}

/** The values of a dashboard's variables as it is opened, and those that its address gives. */
export function variables(dashboard: Dashboard, asked: URLSearchParams): Values {
  const found: Values = {};
  for (const variable of dashboard.templating.list) {
    const given = asked.get(`var-${variable.name}`);
    found[variable.name] =
      variable.type === 'datasource' ? 'preview' : (given ?? value(variable));
    if (given !== null) {
      variable.current = { text: given, value: given };
    }
  }
  return found;
}

/** The variables of time for a panel of a width in pixels. */
export function intervals(range: TimeRange, width: number, least = SCRAPE): Values {
  const low = rangeUtil.intervalToMs(least) > rangeUtil.intervalToMs(SCRAPE) ? least : SCRAPE;
  const { interval, intervalMs } = rangeUtil.calculateInterval(range, width, low);
  const scrape = rangeUtil.intervalToMs(SCRAPE);
  const rate = Math.max(intervalMs + scrape, 4 * scrape);
  const seconds = Math.round((range.to.valueOf() - range.from.valueOf()) / 1000);
  return {
    __interval: interval,
    __interval_ms: String(intervalMs),
    __rate_interval: `${rate / 1000}s`,
    __range: `${seconds}s`,
    __range_s: String(seconds),
  };
}

/** A text with its variables filled in; one that is not known is an error. */
export function fill(text: string, values: Values): string {
  const variable = /\$\{(\w+)(?::([\w:]+))?\}|\$(\w+)/g;
  return text.replace(variable, (whole, braced: string, form: string, bare: string) => {
    const name = braced ?? bare;
    if (!(name in values)) {
      throw new NotDrawnError(`${whole} has no value in: ${text}`);
    }
    if (form?.startsWith('customqueryparam') && values[name] !== ALL) {
      const parameter = form.split(':')[1] ?? name;
      return `${parameter}=${encodeURIComponent(values[name])}`;
    }
    return form === 'doublequote' ? `"${values[name].replace(/"/g, '\\"')}"` : values[name];
  });
}
