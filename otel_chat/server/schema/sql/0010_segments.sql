{#- Conditions that were saved under a name; watched ones have gauges. -#}
{% call table('segments', version='version', order='(tenant, name)', shard='sipHash64(tenant, name)') %}
  tenant LowCardinality(String),
  name String,
  conditions String CODEC(ZSTD),
  watched Bool,
  texts Bool,
  dropped Bool,
  saved_at DateTime64(3, 'UTC'),
  version UInt64
{% endcall %};
