// Reads TraceQL queries, a JSON list, and tells for each where Grafana's own grammar cannot read it.
import { readFileSync } from 'node:fs';

import { parser } from '@grafana/lezer-traceql';

function unread(query) {
  const found = [];
  parser.parse(query).iterate({
    enter: (node) => {
      if (node.type.isError) {
        found.push(node.from);
      }
    },
  });
  return found;
}

const queries = JSON.parse(readFileSync(0, 'utf-8'));
process.stdout.write(JSON.stringify(queries.map(unread)));
