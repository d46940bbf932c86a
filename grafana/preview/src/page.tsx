// The page: a head with the variables, and the panels on their grid.
import { EventBusSrv, GrafanaTheme2, ThemeContext, TimeRange } from '@grafana/data';
import { GlobalStyles, Icon, PanelChrome, PanelContext, PanelContextProvider } from '@grafana/ui';

import { Dashboard, Panel } from './dashboard';
import { Body, Drawn } from './panels';

const SOURCES: Record<string, string> = { prometheus: 'Prometheus', tempo: 'Tempo' };
const COLUMNS = 24;
const UNIT = 30; // pixels of a unit of height, as in Grafana
const GAP = 8;
const PAD = 16;

const context: PanelContext = { eventsScope: 'preview', eventBus: new EventBusSrv() };

/** How many pixels a window of a width leaves for panels. */
export function widthFor(window: number): number {
  return window - 2 * PAD;
}

function widthOf(units: number, whole: number): number {
  return Math.floor(((whole + GAP) / COLUMNS) * units - GAP);
}

/** Where a panel stands, in pixels. */
export function place(panel: Panel, whole: number) {
  const { x, y, w, h } = panel.gridPos;
  return {
    left: x === 0 ? 0 : widthOf(x, whole) + GAP,
    top: y * (UNIT + GAP),
    width: widthOf(w, whole),
    height: h * (UNIT + GAP) - GAP,
  };
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
    <header style={{ display: 'flex', gap: 12, alignItems: 'center', height: 48 }}>
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
  whole: number;
}

export function Page({ dashboard, panels, range, theme, whole }: PageProps) {
  const height = Math.max(
    ...panels.map(({ panel }) => place(panel, whole).top + place(panel, whole).height),
  );
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PanelContextProvider value={context}>
        <main
          style={{ padding: `0 ${PAD}px ${PAD}px`, background: theme.colors.background.canvas }}
        >
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
