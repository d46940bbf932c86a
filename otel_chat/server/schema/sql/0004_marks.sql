{% call table('conversation_marks', version='version', order='(tenant, conversation_id)', shard='sipHash64(tenant, conversation_id)') %}
  tenant LowCardinality(String),
  conversation_id String CODEC(ZSTD),
  reviewed Bool,
  tags Array(String),
  note String CODEC(ZSTD),
  changed_at DateTime64(3, 'UTC'),
  version UInt64
{% endcall %};

{% call table('saved_views', version='version', order='(tenant, name)', shard='sipHash64(tenant, name)') %}
  tenant LowCardinality(String),
  name String,
  address String,
  dropped Bool,
  saved_at DateTime64(3, 'UTC'),
  version UInt64
{% endcall %};
