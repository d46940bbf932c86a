// The parts of a dashboard's JSON that the preview reads.
import { DataTransformerConfig, FieldConfigSource } from '@grafana/data';

export interface Target {
  refId: string;
  expr: string; // of Prometheus
  query?: string; // of Tempo
  limit?: number;
  spss?: number;
  url?: string; // of the analytics server
  root_selector?: string;
  columns?: Array<{ selector: string; text: string; type: string }>;
  legendFormat: string;
  instant?: boolean;
  format?: string;
  exemplar?: boolean;
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description: string;
  interval?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource: { type: string };
  targets: Target[];
  fieldConfig: FieldConfigSource;
  options: Record<string, unknown>;
  transformations?: DataTransformerConfig[];
  links?: unknown[];
}

export interface Variable {
  name: string;
  type: string;
  label?: string;
  query: string | { query: string };
  current?: { text: string | string[]; value: string | string[] };
  allValue?: string;
  hide?: number;
}

export interface Annotation {
  name: string;
  iconColor: string;
  expr: string;
  step: string;
}

export interface Dashboard {
  title: string;
  templating: { list: Variable[] };
  annotations: { list: Annotation[] };
  panels: Panel[];
}

/** Something that the preview does not draw as Grafana would; it must not pass for a picture. */
export class NotDrawnError extends Error {}
