{# What was kept of whole days; nothing reads it any more. #}
DROP VIEW IF EXISTS turns_to_touched{{ on_cluster }};
DROP VIEW IF EXISTS events_to_touched{{ on_cluster }};
DROP VIEW IF EXISTS spans_to_touched{{ on_cluster }};
{% for table in ['touched', 'rolled', 'parted_conversations', 'parted_days', 'conversation_days', 'turn_days',
  'intent_days', 'turn_speeds', 'call_speeds', 'quarter_hours', 'failed_turns', 'slow_turns'] -%}
{% if cluster %}DROP TABLE IF EXISTS {{ table }}{{ on_cluster }};
{% endif %}DROP TABLE IF EXISTS {{ table }}{{ local }}{{ on_cluster }};
{% endfor %}
{# Where a column of its own is told from an attribute, the views that fill the table stay as they are. -#}
{% macro told(table, column, attribute, value) -%}
{% for name in ([table ~ local, table] if cluster else [table]) -%}
ALTER TABLE {{ name }}{{ on_cluster }} ADD COLUMN IF NOT EXISTS
  {{ column }} Bool DEFAULT attributes['{{ attribute }}'] = '{{ value }}';
{% endfor -%}
ALTER TABLE {{ table }}{{ local }}{{ on_cluster }} MATERIALIZE COLUMN {{ column }};
{% endmacro -%}
{{ told('turns', 'without_reply', n.REPLY, 'false') }}
{{ told('turns', 'synthetic', n.SYNTHETIC, 'true') }}
{{ told('events', 'synthetic', n.SYNTHETIC, 'true') }}
{# What annotations say of turns is asked with every sum of turns, and most stores have none. #}
ALTER TABLE events{{ local }}{{ on_cluster }} ADD INDEX IF NOT EXISTS by_source source TYPE set(4) GRANULARITY 1;
ALTER TABLE events{{ local }}{{ on_cluster }} MATERIALIZE INDEX by_source;
CREATE TABLE IF NOT EXISTS touched_keys{{ local }}{{ on_cluster }} (
  queue Enum8('recent' = 1, 'earlier' = 2, 'trace' = 3),
  tenant LowCardinality(String),
  key String CODEC(ZSTD),
  first DateTime64(9, 'UTC'),
  last DateTime64(9, 'UTC'),
  at DateTime64(9, 'UTC')
) ENGINE = {{ 'ReplicatedMergeTree' if cluster else 'MergeTree' }}
PARTITION BY toStartOfHour(at) ORDER BY (queue, at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

{% if cluster %}
CREATE TABLE IF NOT EXISTS touched_keys{{ on_cluster }} AS touched_keys{{ local }}
ENGINE = Distributed({{ cluster }}, currentDatabase(), touched_keys{{ local }}, sipHash64(tenant, key));
{% endif %}

{% call table('settled', version='at', order='name', shard='sipHash64(name)') %}
  name String,
  mark Int64,
  at Int64
{% endcall %};

{% call table('leases', version='at', order='(name, holder)', shard='sipHash64(name)',
  ttl='toDateTime(intDiv(at, 1000000000)) + INTERVAL 1 DAY') %}
  name String,
  holder String,
  taken Int64,
  until Int64,
  at Int64
{% endcall %};

{% call table('conversations', version='version, gone', granularity=2048, partition='toYYYYMM(day)',
  shard='sipHash64(tenant, conversation_id)', order='(tenant, day, conversation_id, episode)') %}
  tenant LowCardinality(String),
  day Date32,
  conversation_id String CODEC(ZSTD),
  episode Int64,
  version UInt64 CODEC(ZSTD),
  gone UInt8,
  seen_from DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  seen_to DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  started_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  turns_erased Bool,
  last_activity_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  ended Bool,
  outcome Enum8('open' = 0, 'resolved' = 1, 'handed_off' = 2, 'abandoned' = 3, 'failed' = 4),
  confirmed Bool,
  handed_off Bool,
  handoffs UInt64,
  unfinished Bool,
  last_turn UInt8,
  last_fallback Bool,
  turns UInt64,
  replies UInt64,
  errors UInt64,
  fallbacks UInt64,
  classified UInt64,
  handoff_turns UInt64,
  handoff_events UInt64,
  own_turns UInt64,
  positive UInt64,
  negative UInt64,
  actions UInt64,
  user_messages UInt64,
  assistant_messages UInt64,
  system_messages UInt64,
  human_messages UInt64,
  input_tokens Nullable(UInt128),
  output_tokens Nullable(UInt128),
  cache_read_tokens Nullable(UInt128),
  reasoning_tokens Nullable(UInt128),
  token_turns UInt64,
  cost Nullable(Decimal(38, 9)),
  priced_turns UInt64,
  unpriced_turns UInt64,
  responses UInt64,
  response_sum Nullable(Int128),
  first_chunks UInt64,
  first_chunk_sum Nullable(Int128),
  confidences UInt64,
  confidence_sum Nullable(Int128),
  low_confidence UInt64,
  scores UInt64,
  score_sum Nullable(Int128),
  rated UInt64,
  rating_sum Nullable(Int128),
  environment LowCardinality(String),
  agent LowCardinality(String),
  agent_version LowCardinality(String),
  variant LowCardinality(String),
  channel LowCardinality(String),
  platform LowCardinality(String),
  location LowCardinality(String),
  user_type LowCardinality(String),
  model LowCardinality(String),
  page String CODEC(ZSTD),
  referrer String CODEC(ZSTD),
  user_agent String CODEC(ZSTD),
  user_hash String CODEC(ZSTD),
  users Array(String) CODEC(ZSTD),
  pages Array(String) CODEC(ZSTD),
  combinations Array(Tuple(environment LowCardinality(String), agent LowCardinality(String),
    agent_version LowCardinality(String), variant LowCardinality(String),
    channel LowCardinality(String), model LowCardinality(String), intent LowCardinality(String),
    route LowCardinality(String), user_type LowCardinality(String),
    prompt LowCardinality(String), prompt_version LowCardinality(String))) CODEC(ZSTD),
  ratings Array(Tuple(at Int64, evaluation LowCardinality(String), value Nullable(Float64),
    scale_min Nullable(Float64), scale_max Nullable(Float64), score Nullable(Float64),
    of_turn Bool, environment LowCardinality(String), agent LowCardinality(String),
    agent_version LowCardinality(String), variant LowCardinality(String),
    channel LowCardinality(String), model LowCardinality(String), intent LowCardinality(String),
    route LowCardinality(String), user_type LowCardinality(String),
    prompt LowCardinality(String), prompt_version LowCardinality(String),
    message_type LowCardinality(String), confidence Nullable(Float64))) CODEC(ZSTD),
  handoff_reasons Array(LowCardinality(String)),
  topics Array(LowCardinality(String)),
  leads Array(LowCardinality(String)),
  action_names Array(LowCardinality(String)),
  annotated_intents Array(LowCardinality(String)),
  last_annotated_intent LowCardinality(String),
  last_intent LowCardinality(String),
  last_sentiment LowCardinality(String),
  entities Array(LowCardinality(String)),
  statuses Array(UInt16),
  end_reason LowCardinality(String),
  capped Bool,
  turn_at Array(Int64) CODEC(Delta, ZSTD),
  turn_intent Array(LowCardinality(String)),
  turn_model Array(LowCardinality(String)),
  turn_seconds Array(Float64) CODEC(ZSTD),
  turn_confidence Array(Nullable(Float64)) CODEC(ZSTD),
  step_at Array(Int64) CODEC(Delta, ZSTD),
  step_kind Array(LowCardinality(String)),
  step_name Array(LowCardinality(String)),
  step_place Array(LowCardinality(String)),
  stood Tuple(workflow String, step String) CODEC(ZSTD),
  places Array(Tuple(workflow String, step String)) CODEC(ZSTD),
  INDEX by_conversation conversation_id TYPE bloom_filter(0.001) GRANULARITY 1
{% endcall %};
