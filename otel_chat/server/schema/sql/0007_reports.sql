{% call table('reports', version='version', order='(tenant, name)', shard='sipHash64(tenant, name)') %}
  tenant LowCardinality(String),
  name String,
  definition String CODEC(ZSTD),
  texts Bool,
  dropped Bool,
  saved_at DateTime64(3, 'UTC'),
  version UInt64
{% endcall %};

{# An attempt to send a report of a period to somebody: claimed before anything leaves, told after. #}
{% call table('report_runs', version='version', order='(tenant, report, period, recipient, attempt)',
  shard='sipHash64(tenant, report)') %}
  tenant LowCardinality(String),
  report String,
  period String,
  recipient String,
  attempt String,
  holder String,
  state LowCardinality(String),
  detail String CODEC(ZSTD),
  claimed_ns Int64,
  at_ns Int64,
  version UInt64
{% endcall %};
