// The page: a head with the variables, and the panels on their grid.
import { EventBusSrv, GrafanaTheme2, ThemeContext, TimeRange } from '@grafana/data';
import { GlobalStyles, Icon, PanelChrome, PanelContext, PanelContextProvider } from '@grafana/ui';

import { Dashboard, Panel } from './dashboard';
import { Body, Drawn } from './panels';

const SOURCES: Record<string, string> = {
  prometheus: 'Prometheus',
  tempo: 'Tempo',
  'yesoreyeram-infinity-datasource': 'Infinity',
};
const COLUMNS = 24;
const UNIT = 30; // pixels of a unit of height, as in Grafana
const GAP = 8;
const PAD = 16;
const NARROW = 768; // below it Grafana puts panels one under the other

const context: PanelContext = { eventsScope: 'preview', eventBus: new EventBusSrv() };

export interface Place {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Where each panel stands, in pixels: on the grid, and in a narrow window one under the other. */
export function placed(panels: Panel[], window: number): Map<number, Place> {
  const whole = window - 2 * (window < NARROW ? GAP : PAD);
  const widthOf = (units: number) => Math.floor(((whole + GAP) / COLUMNS) * units - GAP);
  const heightOf = (units: number) => units * (UNIT + GAP);
  const found = new Map<number, Place>();
  let below = 0;
  for (const { id, gridPos } of panels) {
    const { x, y, w, h } = gridPos;
    const height = heightOf(h) - GAP;
    if (window < NARROW) {
      found.set(id, { left: 0, top: below, width: whole, height });
      below += height + GAP;
    } else {
      const left = x === 0 ? 0 : widthOf(x) + GAP;
      found.set(id, { left, top: heightOf(y), width: widthOf(w), height });
    }
  }
  return found;
}

function Head({
  dashboard,
  range,
  theme,
}: {
  dashboard: Dashboard;
  range: TimeRange;
  theme: GrafanaTheme2;
}) {
  const shown = dashboard.templating.list.filter((one) => one.hide !== 2);
  const box = {
    border: `1px solid ${theme.colors.border.medium}`,
    borderRadius: theme.shape.radius.default,
    background: theme.components.input.background,
    padding: '3px 10px',
  };
  const time = `${range.from.format('YYYY-MM-DD HH:mm')} to ${range.to.format('HH:mm')} UTC`;
  return (
    <header
      style={{
        display: 'flex',
        flexWrap: 'wrap',
        gap: '6px 12px',
        alignItems: 'center',
        minHeight: 48,
        padding: '6px 0',
      }}
    >
      <h1 style={{ fontSize: 18, margin: 0, marginRight: 'auto' }}>{dashboard.title}</h1>
      {shown.map((one) => (
        <span key={one.name} style={{ fontSize: 12 }}>
          <span style={{ color: theme.colors.text.secondary, marginRight: 6 }}>{one.label}</span>
          <span style={box}>
            {one.type === 'datasource' ? SOURCES[String(one.query)] : [one.current?.text].flat()}
          </span>
        </span>
      ))}
      <span style={{ ...box, fontSize: 12 }}>
        <Icon name="clock-nine" size="sm" /> {time}
      </span>
    </header>
  );
}

interface PageProps {
  dashboard: Dashboard;
  panels: Drawn[];
  range: TimeRange;
  theme: GrafanaTheme2;
  places: Map<number, Place>;
}

export function Page({ dashboard, panels, range, theme, places }: PageProps) {
  const height = Math.max(...[...places.values()].map((one) => one.top + one.height));
  const place = (panel: Panel) => places.get(panel.id)!;
  const pad = document.documentElement.clientWidth < NARROW ? GAP : PAD;
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={context}>
        <main
          style={{ padding: `0 ${pad}px ${pad}px`, background: theme.colors.background.canvas }}
        >
          <Head dashboard={dashboard} range={range} theme={theme} />
          <div style={{ position: 'relative', height }}>
            {panels.map((one) => (
              <div key={one.panel.id} style={{ position: 'absolute', ...place(one.panel) }}>
                <PanelChrome
                  title={one.panel.title}
                  description={one.panel.description}
                  width={place(one.panel).width}
                  height={place(one.panel).height}
                  padding={one.panel.type === 'table' ? 'none' : 'md'}
                  titleItems={
                    one.panel.links?.length ? (
                      <Icon name="external-link-alt" size="sm" />
                    ) : undefined
                  }
                >
                  {(width, height) => (
                    <Body {...one} width={width} height={height} range={range} theme={theme} />
                  )}
                </PanelChrome>
              </div>
            ))}
          </div>
        </main>
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
}
