{# What a reviewer says of a conversation: a row for each of both. What is taken back is dropped. #}
{% call table('reviews', version='version', order='(tenant, conversation_id, reviewer)', shard='sipHash64(tenant, conversation_id)') %}
  tenant LowCardinality(String),
  conversation_id String CODEC(ZSTD),
  reviewer String,
  verdicts Array(String),
  labels Array(String),
  comment String CODEC(ZSTD),
  dropped Bool,
  reviewed_at DateTime64(3, 'UTC'),
  version UInt64
{% endcall %};

{% call table('rubrics', version='version', order='tenant', shard='sipHash64(tenant)') %}
  tenant LowCardinality(String),
  definition String CODEC(ZSTD),
  changed_by String,
  changed_at DateTime64(3, 'UTC'),
  version UInt64
{% endcall %};

{# A random sample as it was drawn, so that it can be drawn again; and the conversations in it. #}
{% call table('samples', version='version', order='(tenant, name)', shard='sipHash64(tenant, name)') %}
  tenant LowCardinality(String),
  name String,
  from_ns Int64,
  to_ns Int64,
  filters String,
  words Array(String),
  seed UInt64,
  size UInt32,
  drawn UInt32,
  population UInt64,
  drawn_by String,
  drawn_at DateTime64(3, 'UTC'),
  dropped Bool,
  version UInt64
{% endcall %};

{% call table('sampled', version='version', order='(tenant, sample, conversation_id)', shard='sipHash64(tenant, conversation_id)') %}
  tenant LowCardinality(String),
  sample String,
  conversation_id String CODEC(ZSTD),
  place UInt32,
  dropped Bool,
  version UInt64
{% endcall %};

{% for name in (['conversation_marks' ~ local, 'conversation_marks'] if cluster else ['conversation_marks']) -%}
ALTER TABLE {{ name }}{{ on_cluster }}
  ADD COLUMN IF NOT EXISTS reviewed_by String,
  ADD COLUMN IF NOT EXISTS reviewed_at Nullable(DateTime64(3, 'UTC'));
{% endfor -%}
