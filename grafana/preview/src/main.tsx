// A dashboard from its JSON, on a live Prometheus' data, for a picture of it.
import {
  DataFrame,
  EventBusSrv,
  GrafanaTheme2,
  TimeRange,
  cacheFieldDisplayNames,
  createTheme,
  dateTime,
  locationUtil,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { ThemeContext } from '@grafana/data';
import { GlobalStyles, Icon, PanelChrome, PanelContextProvider } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { firstValueFrom } from 'rxjs';

import { Dashboard, NotDrawnError, Panel } from './dashboard';
import { check, configured } from './fields';
import { Values, intervals, variables } from './fill';
import { Body, Drawn } from './panels';
import { Mark, Prometheus } from './query';

declare global {
  interface Window {
    preview: { done: boolean; errors: string[]; empty: string[] };
  }
}

const COLUMNS = 24;
const UNIT = 30; // pixels of a unit of height, as in Grafana
const GAP = 8;
const PAD = 16;

window.preview = { done: false, errors: [], empty: [] };
const context = { eventsScope: 'preview', eventBus: new EventBusSrv() };

function widthOf(units: number, whole: number): number {
  return Math.floor(((whole + GAP) / COLUMNS) * units - GAP);
}

function place(panel: Panel, whole: number) {
  const { x, y, w, h } = panel.gridPos;
  return {
    left: x === 0 ? 0 : widthOf(x, whole) + GAP,
    top: y * (UNIT + GAP),
    width: widthOf(w, whole),
    height: h * (UNIT + GAP) - GAP,
  };
}

async function transformed(panel: Panel, frames: DataFrame[]): Promise<DataFrame[]> {
  const steps = panel.transformations ?? [];
  return steps.length === 0 ? frames : firstValueFrom(transformDataFrame(steps, frames, { interpolate: (text: string) => text }));
}

async function drawn(
  panel: Panel,
  prometheus: Prometheus,
  filled: Values,
  range: TimeRange,
  width: number,
  marks: Mark[],
  theme: GrafanaTheme2,
): Promise<Drawn> {
  check(panel);
  const values = { ...filled, ...intervals(range, width, panel.interval) };
  const many = panel.targets.length > 1;
  const answers = panel.targets.map((target) => prometheus.frames(target, values, many));
  const raw = (await Promise.all(answers)).flat();
  if (raw.every((frame) => frame.length === 0)) {
    window.preview.empty.push(panel.title);
  }
  const frames = configured(panel, await transformed(panel, raw), theme);
  cacheFieldDisplayNames(frames);
  const exemplars = await prometheus.exemplars(panel, values);
  return { panel, frames, exemplars, marks };
}

function Head({ dashboard, range, theme }: { dashboard: Dashboard; range: TimeRange; theme: GrafanaTheme2 }) {
  const shown = dashboard.templating.list.filter((one) => one.hide !== 2);
  const box = {
    border: `1px solid ${theme.colors.border.medium}`,
    borderRadius: theme.shape.radius.default,
    background: theme.components.input.background,
    padding: '3px 10px',
  };
  const time = `${range.from.format('YYYY-MM-DD HH:mm')} to ${range.to.format('HH:mm')} UTC`;
  return (
    <header style={{ display: 'flex', gap: 12, alignItems: 'center', height: 48 }}>
      <h1 style={{ fontSize: 18, margin: 0, marginRight: 'auto' }}>{dashboard.title}</h1>
      {shown.map((one) => (
        <span key={one.name} style={{ fontSize: 12 }}>
          <span style={{ color: theme.colors.text.secondary, marginRight: 6 }}>{one.label}</span>
          <span style={box}>{one.type === 'datasource' ? 'Prometheus' : [one.current?.text].flat()}</span>
        </span>
      ))}
      <span style={{ ...box, fontSize: 12 }}>
        <Icon name="clock-nine" size="sm" /> {time}
      </span>
    </header>
  );
}

function Page({ dashboard, panels, range, theme, whole }: { dashboard: Dashboard; panels: Drawn[]; range: TimeRange; theme: GrafanaTheme2; whole: number }) {
  const height = Math.max(...panels.map(({ panel }) => place(panel, whole).top + place(panel, whole).height));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={context as any}>
        <main style={{ padding: `0 ${PAD}px ${PAD}px`, background: theme.colors.background.canvas }}>
          <Head dashboard={dashboard} range={range} theme={theme} />
          <div style={{ position: 'relative', height }}>
            {panels.map((one) => (
              <div key={one.panel.id} style={{ position: 'absolute', ...place(one.panel, whole) }}>
                <PanelChrome
                  title={one.panel.title}
                  description={one.panel.description}
                  width={place(one.panel, whole).width}
                  height={place(one.panel, whole).height}
                  padding={one.panel.type === 'table' ? 'none' : 'md'}
                  titleItems={one.panel.links?.length ? <Icon name="external-link-alt" size="sm" /> : undefined}
                >
                  {(width, height) => <Body {...one} width={width} height={height} range={range} theme={theme} />}
                </PanelChrome>
              </div>
            ))}
          </div>
        </main>
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
}

async function main(): Promise<void> {
  const asked = new URLSearchParams(location.search);
  const theme = createTheme({ colors: { mode: asked.get('theme') === 'light' ? 'light' : 'dark' } });
  const from = dateTime(Number(asked.get('from')));
  const to = dateTime(Number(asked.get('to')));
  const range: TimeRange = { from: from.utc(), to: to.utc(), raw: { from, to } };
  standardTransformersRegistry.setInit(() =>
    [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map((transformation: any) => ({
      id: transformation.id,
      name: transformation.name,
      transformation: async () => transformation,
      editor: () => null,
    })) as any,
  );
  locationUtil.initialize({
    config: { appSubUrl: '' } as any,
    getVariablesUrlParams: () => ({}),
    getTimeRangeForUrl: () => ({ from: '', to: '' }) as any,
  });
  const dashboard: Dashboard = await (await fetch(`/dashboards/${asked.get('dashboard')}.json`)).json();
  const prometheus = new Prometheus(asked.get('prometheus')!, range);
  const filled = variables(dashboard);
  const whole = document.documentElement.clientWidth - 2 * PAD;
  const marks = (
    await Promise.all(dashboard.annotations.list.map((one) => prometheus.marks(one, filled)))
  ).flat();
  const panels = await Promise.all(
    dashboard.panels.map((panel) =>
      drawn(panel, prometheus, filled, range, place(panel, whole).width, marks, theme),
    ),
  );
  // Sizes of texts are measured: with another font they would not fit
  for (const [weight, file] of [['400', 'Regular'], ['500', 'Medium']]) {
    const font = new FontFace('Inter', `url(/public/fonts/inter/Inter-${file}.woff2)`, { weight });
    document.fonts.add(await font.load());
  }
  document.body.style.margin = '0';
  createRoot(document.getElementById('root')!, {
    onUncaughtError: (error) => window.preview.errors.push(String(error)),
  }).render(<Page dashboard={dashboard} panels={panels} range={range} theme={theme} whole={whole} />);
}

window.addEventListener('error', (event) => window.preview.errors.push(event.message));
main()
  .catch((error) => window.preview.errors.push(error instanceof NotDrawnError ? error.message : String(error?.stack ?? error)))
  .finally(() => (window.preview.done = true));
