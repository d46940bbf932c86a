{# What was decided about a question that was not answered: it is found again by the asking. #}
{% call table('theme_states', version='version', order='(tenant, trace_id)', shard='sipHash64(tenant, trace_id)') %}
  tenant LowCardinality(String),
  trace_id String,
  message String CODEC(ZSTD),
  state LowCardinality(String),
  changed_by String,
  changed_at DateTime64(3, 'UTC'),
  version UInt64
{% endcall %};
