// Panels, drawn by Grafana's own components.
import {
  DataFrame,
  FieldDisplay,
  GrafanaTheme2,
  TimeRange,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
} from '@grafana/data';
import { VizOrientation } from '@grafana/schema';
import { BarGauge, BigValue, TimeSeries, UPlotConfigBuilder, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { useLayoutEffect } from 'react';

import { Panel } from './dashboard';
import { Heat } from './heat';
import { Exemplar, Mark } from './query';

export interface Drawn {
  panel: Panel;
  frames: DataFrame[];
  exemplars: Exemplar[];
  marks: Mark[];
}

interface Room {
  width: number;
  height: number;
  range: TimeRange;
  theme: GrafanaTheme2;
}

type Props = Drawn & Room;
type Options = any;

export function Body(props: Props) {
  switch (props.panel.type) {
    case 'timeseries':
      return props.frames.length > 0 ? <Course {...props} /> : <Nothing {...props} />;
    case 'table':
      return props.frames[0]?.length > 0 ? <Sheet {...props} /> : <Nothing {...props} />;
    case 'heatmap':
      return props.frames[0]?.length > 0 ? (
        <Heat {...props} frame={props.frames[0]} options={props.panel.options} />
      ) : (
        <Nothing {...props} />
      );
    case 'stat':
      return <Figure {...props} />;
    case 'traces':
      return <Nothing {...props} text="Grafana's view of a trace, which it publishes no component of" />;
    default:
      return props.frames.length > 0 ? <Ranking {...props} /> : <Nothing {...props} />;
  }
}

function Nothing({ panel, width, height, theme, text }: Props & { text?: string }) {
  const style = {
    width,
    height,
    display: 'flex',
    alignItems: 'center',
    justifyContent: 'center',
    color: theme.colors.text.secondary,
  };
  return <div style={style}>{text ?? (panel.fieldConfig.defaults.noValue || 'No data')}</div>;
}

function values({ panel, frames, theme }: Props, sparkline: boolean): FieldDisplay[] {
  return getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions: (panel.options as Options).reduceOptions,
    replaceVariables: (text) => text,
    theme,
    data: frames,
    sparkline,
    timeZone: 'utc',
  });
}

function Figure(props: Props) {
  const options = props.panel.options as Options;
  const found = values(props, options.graphMode !== 'none');
  return (
    <VizRepeater
      source={props.frames}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      getValues={() => found}
      renderCounter={0}
      orientation={options.orientation}
      width={props.width}
      height={props.height}
      itemSpacing={3}
      autoGrid
      renderValue={({ value, width, height, alignmentFactors, count }) => (
        <BigValue
          value={value.display}
          count={count}
          sparkline={value.sparkline}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          textMode={options.textMode}
          alignmentFactors={alignmentFactors}
          width={width}
          height={height}
          theme={props.theme}
        />
      )}
    />
  );
}

function Ranking(props: Props) {
  const options = props.panel.options as Options;
  const found = values(props, false);
  return (
    <VizRepeater
      source={props.frames}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      getValues={() => found}
      renderCounter={0}
      orientation={VizOrientation.Horizontal}
      width={props.width}
      height={props.height}
      minVizHeight={options.minVizHeight}
      maxVizHeight={options.maxVizHeight}
      minVizWidth={options.minVizWidth}
      itemSpacing={8}
      renderValue={({ value, width, height, alignmentFactors }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
          orientation={VizOrientation.Horizontal}
          displayMode={options.displayMode}
          valueDisplayMode={options.valueMode}
          namePlacement={options.namePlacement}
          text={options.text}
          showUnfilled={options.showUnfilled}
          alignmentFactors={alignmentFactors}
          itemSpacing={8}
          lcdCellWidth={12}
          width={width}
          height={height}
          theme={props.theme}
        />
      )}
    />
  );
}

function Sheet({ panel, frames, width, height, range }: Props) {
  const options = panel.options as Options;
  return (
    <TableNG
      data={frames[0]}
      width={width}
      height={height}
      cellHeight={options.cellHeight}
      noHeader={!options.showHeader}
      sortBy={options.sortBy}
      fieldConfig={panel.fieldConfig}
      timeRange={range}
      enableVirtualization={false}
    />
  );
}

function Course({ panel, frames, width, height, range, theme, exemplars, marks }: Props) {
  const options = panel.options as Options;
  return (
    <TimeSeries
      frames={frames}
      width={width}
      height={height}
      timeRange={range}
      timeZone="utc"
      legend={options.legend}
      options={options}
    >
      {(builder) => <Overlay builder={builder} exemplars={exemplars} marks={marks} theme={theme} />}
    </TimeSeries>
  );
}

interface OverlayProps {
  builder: UPlotConfigBuilder;
  exemplars: Exemplar[];
  marks: Mark[];
  theme: GrafanaTheme2;
}

/** Exemplars and annotations, which Grafana's panel draws over the chart, not its components. */
function Overlay({ builder, exemplars, marks, theme }: OverlayProps) {
  useLayoutEffect(() => {
    builder.addHook('draw', (plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height + 8);
      ctx.clip();
      for (const mark of marks) {
        const colour = theme.visualization.getColorByName(mark.colour);
        const left = plot.valToPos(Math.max(mark.from, plot.scales.x.min!), 'x', true);
        const right = plot.valToPos(mark.to, 'x', true);
        ctx.strokeStyle = ctx.fillStyle = colour;
        ctx.setLineDash([5, 5]);
        ctx.lineWidth = 1;
        ctx.beginPath();
        ctx.moveTo(left, bbox.top);
        ctx.lineTo(left, bbox.top + bbox.height);
        ctx.stroke();
        const bottom = bbox.top + bbox.height;
        ctx.fillRect(left - 4, bottom, mark.region ? Math.max(right - left, 8) : 8, 4);
      }
      const scale = plot.series[1]?.scale;
      ctx.setLineDash([]);
      ctx.fillStyle = theme.visualization.getColorByName('light-purple');
      for (const exemplar of scale === undefined ? [] : exemplars) {
        const { min, max } = plot.scales[scale!];
        const height = Math.min(Math.max(exemplar.value, min ?? 0), max ?? exemplar.value);
        const x = plot.valToPos(exemplar.time, 'x', true);
        const y = plot.valToPos(height, scale!, true);
        ctx.beginPath();
        ctx.moveTo(x, y - 5);
        ctx.lineTo(x + 5, y);
        ctx.lineTo(x, y + 5);
        ctx.lineTo(x - 5, y);
        ctx.fill();
      }
      ctx.restore();
    });
  }, [builder, exemplars, marks, theme]);
  return null;
}
