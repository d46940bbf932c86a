// A dashboard from its JSON, on a live Prometheus' data, for a picture of it.
import {
  DataFrame,
  GrafanaTheme2,
  TimeRange,
  cacheFieldDisplayNames,
  createTheme,
  dateTime,
  transformDataFrame,
} from '@grafana/data';
import { createRoot } from 'react-dom/client';
import { firstValueFrom } from 'rxjs';

import { Dashboard, NotDrawnError, Panel } from './dashboard';
import { check, configured } from './fields';
import { Values, fill, intervals, variables } from './fill';
import { Page, placed } from './page';
import { Drawn } from './panels';
import { Mark, Prometheus } from './query';
import { loadFonts, setUp } from './setup';
import { Answers } from './answers';
import { Tempo } from './tempo';

declare global {
  interface Window {
    preview: { done: boolean; errors: string[]; empty: string[] };
  }
}

window.preview = { done: false, errors: [], empty: [] };

async function transformed(panel: Panel, frames: DataFrame[]): Promise<DataFrame[]> {
  const steps = panel.transformations ?? [];
  return steps.length === 0
    ? frames
    : firstValueFrom(transformDataFrame(steps, frames, { interpolate: (text: string) => text }));
}

interface Sources {
  prometheus: Prometheus;
  tempo: Tempo;
  answers: Answers;
}

async function drawn(
  panel: Panel,
  { prometheus, tempo, answers }: Sources,
  filled: Values,
  range: TimeRange,
  width: number,
  marks: Mark[],
  theme: GrafanaTheme2,
): Promise<Drawn> {
  check(panel);
  const values = { ...filled, ...intervals(range, width, panel.interval) };
  panel.title = fill(panel.title, values);
  if (panel.type === 'traces') {
    return { panel, frames: [], exemplars: [], marks: [] };
  }
  const many = panel.targets.length > 1;
  const asked = panel.targets.map((target) => {
    if (panel.datasource.type === 'prometheus') {
      return prometheus.frames(target, values, many);
    }
    return (panel.datasource.type === 'tempo' ? tempo : answers).frames(target, values);
  });
  const raw = (await Promise.all(asked)).flat();
  if (raw.every((frame) => frame.length === 0)) {
    window.preview.empty.push(panel.title);
  }
  const frames = configured(panel, await transformed(panel, raw), theme);
  cacheFieldDisplayNames(frames);
  const exemplars = await prometheus.exemplars(panel, values);
  return { panel, frames, exemplars, marks };
}

async function main(): Promise<void> {
  const asked = new URLSearchParams(location.search);
  const theme = createTheme({
    colors: { mode: asked.get('theme') === 'light' ? 'light' : 'dark' },
  });
  const from = dateTime(Number(asked.get('from')));
  const to = dateTime(Number(asked.get('to')));
  const range: TimeRange = { from: from.utc(), to: to.utc(), raw: { from, to } };
  setUp(range);
  const dashboard: Dashboard = await (
    await fetch(`/dashboards/${asked.get('dashboard')}.json`)
  ).json();
  const prometheus = new Prometheus(asked.get('prometheus')!, range);
  const tempo = new Tempo(asked.get('tempo') ?? '', range);
  const sources = { prometheus, tempo, answers: new Answers(range) };
  const filled = variables(dashboard, asked);
  const places = placed(dashboard.panels, document.documentElement.clientWidth);
  const marks = (
    await Promise.all(dashboard.annotations.list.map((one) => prometheus.marks(one, filled)))
  ).flat();
  const panels = await Promise.all(
    dashboard.panels.map((panel) =>
      drawn(panel, sources, filled, range, places.get(panel.id)!.width, marks, theme),
    ),
  );
  await loadFonts();
  document.body.style.margin = '0';
  createRoot(document.getElementById('root')!, {
    onUncaughtError: (error) => window.preview.errors.push(String(error)),
  }).render(
    <Page dashboard={dashboard} panels={panels} range={range} theme={theme} places={places} />,
  );
}

window.addEventListener('error', (event) => window.preview.errors.push(event.message));
main()
  .catch((error) =>
    window.preview.errors.push(
      error instanceof NotDrawnError ? error.message : String(error?.stack ?? error),
    ),
  )
  .finally(() => (window.preview.done = true));
