// Which options the preview draws. Any other one is an error: it would silently not be seen.
import {
  DataFrame,
  FieldConfigOptionsRegistry,
  GrafanaTheme2,
  applyFieldOverrides,
  getValueFormats,
  identityOverrideProcessor,
} from '@grafana/data';

import { NotDrawnError, Panel } from './dashboard';

const STANDARD = [
  'unit',
  'decimals',
  'min',
  'max',
  'noValue',
  'thresholds',
  'color',
  'links',
  'displayName',
  'mappings',
];
const CUSTOM: Record<string, string[]> = {
  timeseries: [
    'drawStyle',
    'fillOpacity',
    'lineWidth',
    'lineInterpolation',
    'showPoints',
    'spanNulls',
    'stacking',
    'thresholdsStyle',
    'axisSoftMin',
    'axisSoftMax',
    'axisPlacement',
    'barWidthFactor',
  ],
  table: ['align', 'cellOptions', 'width', 'minWidth', 'inspect', 'hidden'],
  stat: [],
  bargauge: [],
  heatmap: [],
  traces: [],
};
const OPTIONS: Record<string, string[]> = {
  timeseries: ['legend', 'tooltip'],
  table: ['showHeader', 'cellHeight', 'sortBy', 'frameIndex', 'showTypeIcons', 'footer'],
  stat: [
    'graphMode',
    'colorMode',
    'justifyMode',
    'textMode',
    'wideLayout',
    'reduceOptions',
    'orientation',
    'showPercentChange',
    'percentChangeColorMode',
  ],
  bargauge: [
    'displayMode',
    'orientation',
    'valueMode',
    'namePlacement',
    'showUnfilled',
    'sizing',
    'reduceOptions',
    'minVizWidth',
    'minVizHeight',
    'maxVizHeight',
    'text',
    'legend',
  ],
  heatmap: [
    'calculate',
    'color',
    'filterValues',
    'cellGap',
    'cellValues',
    'yAxis',
    'legend',
    'tooltip',
    'showValue',
    'selectionMode',
    'exemplars',
  ],
  traces: [],
};
const TRANSFORMATIONS = ['merge', 'organize', 'convertFieldType'];
const MATCHERS = ['byName'];

const UNITS = getValueFormats().flatMap((group) => group.submenu.map(({ value }) => value));

function refuse(panel: Panel, what: string, found: string[], known: string[]): void {
  const unknown = found.filter((one) => !known.includes(one));
  if (unknown.length > 0) {
    throw new NotDrawnError(`${panel.title}: ${what} not drawn: ${unknown.join(', ')}`);
  }
}

/** Sees that all that a panel asks for is drawn. */
export function check(panel: Panel): void {
  refuse(panel, 'panel type', [panel.type], Object.keys(OPTIONS));
  refuse(panel, 'options', Object.keys(panel.options ?? {}), OPTIONS[panel.type]);
  if ((panel.options?.footer as { show?: boolean } | undefined)?.show) {
    throw new NotDrawnError(`${panel.title}: a table's footer is not drawn`);
  }
  const { custom = {}, ...defaults } = panel.fieldConfig.defaults;
  refuse(panel, 'field options', Object.keys(defaults), STANDARD);
  refuse(panel, 'custom field options', Object.keys(custom), CUSTOM[panel.type]);
  const overrides = panel.fieldConfig.overrides;
  const units = overrides.flatMap((one) => one.properties.filter(({ id }) => id === 'unit'));
  const given = [defaults.unit, ...units.map(({ value }) => value)];
  const written = given.map(String).filter((unit) => !/^(prefix|suffix):/.test(unit));
  refuse(panel, 'units', written, UNITS);
  refuse(
    panel,
    'matchers',
    overrides.map((one) => one.matcher.id),
    MATCHERS,
  );
  refuse(
    panel,
    'overrides',
    overrides.flatMap((one) => one.properties.map((property) => property.id)),
    [...STANDARD, ...CUSTOM[panel.type].map((name) => `custom.${name}`)],
  );
  const steps = (panel.transformations ?? []).map((one) => one.id);
  refuse(panel, 'transformations', steps, TRANSFORMATIONS);
}

function registry(type: string): FieldConfigOptionsRegistry {
  const item = (path: string, isCustom: boolean) => ({
    id: isCustom ? `custom.${path}` : path,
    path,
    name: path,
    isCustom,
    process: identityOverrideProcessor,
    shouldApply: () => true,
    override: () => null,
    editor: () => null,
  });
  return new FieldConfigOptionsRegistry(() => [
    ...STANDARD.map((name) => item(name, false)),
    ...CUSTOM[type].map((name) => item(name, true)),
  ]);
}

/** Frames with units, thresholds, colours and overrides as a panel wants them. */
export function configured(panel: Panel, frames: DataFrame[], theme: GrafanaTheme2): DataFrame[] {
  return applyFieldOverrides({
    data: frames,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry(panel.type),
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
}
