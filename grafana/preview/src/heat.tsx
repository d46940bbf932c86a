// A heat map, as Grafana's panel draws it: of that one it publishes no component.
import { DataFrame, FieldType, GrafanaTheme2, TimeRange, dateTime } from '@grafana/data';
import { interpolateWarm } from 'd3-scale-chromatic';

import { NotDrawnError } from './dashboard';

const LEFT = 44;
const BOTTOM = 22;

interface Props {
  frame: DataFrame;
  options: any;
  width: number;
  height: number;
  range: TimeRange;
  theme: GrafanaTheme2;
}

export function Heat({ frame, options, width, height, range, theme }: Props) {
  if (options.color.scheme !== 'Warm' || options.color.mode !== 'scheme') {
    throw new NotDrawnError(`colours of a heat map not drawn: ${options.color.scheme}`);
  }
  const [time, ...all] = frame.fields;
  const rows = all.filter((one) => one.type === FieldType.number);
  const counts = rows.flatMap((row) => row.values as number[]);
  const shown = counts.filter((count) => count > options.filterValues.le);
  const [least, most] = [Math.min(...shown), Math.max(...shown)];
  const across = width - LEFT;
  const high = (height - BOTTOM) / rows.length;
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const step = ((time.config.interval ?? 60_000) / (to - from)) * across;
  const colour = (count: number) => {
    const share = most === least ? 1 : (count - least) / (most - least);
    return interpolateWarm(theme.isDark ? share : 1 - share);
  };
  const text = { fill: theme.colors.text.secondary, fontSize: 11 };
  const ticks = [0.1, 0.5, 0.9];
  return (
    <svg width={width} height={height}>
      {rows.map((row, at) => (
        <g key={row.name}>
          {(at % 2 === 0 || rows.length < 9) && (
            <text x={LEFT - 6} y={height - BOTTOM - high * (at + 0.5) + 4} textAnchor="end" {...text}>
              {row.name === '+Inf' ? row.name : `${Number(row.name)} s`}
            </text>
          )}
          {(row.values as number[]).map(
            (count, nth) =>
              count > options.filterValues.le && (
                <rect
                  key={nth}
                  x={LEFT + ((time.values[nth] - from) / (to - from)) * across}
                  y={height - BOTTOM - high * (at + 1)}
                  width={Math.max(step - options.cellGap, 1)}
                  height={Math.max(high - options.cellGap, 1)}
                  fill={colour(count)}
                />
              ),
          )}
        </g>
      ))}
      {ticks.map((share) => (
        <text key={share} x={LEFT + share * across} y={height - 6} textAnchor="middle" {...text}>
          {dateTime(from + share * (to - from)).utc().format('HH:mm')}
        </text>
      ))}
    </svg>
  );
}
