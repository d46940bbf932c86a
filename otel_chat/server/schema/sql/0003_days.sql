CREATE TABLE IF NOT EXISTS touched{{ local }}{{ on_cluster }} (
  day Date32,
  at Int64
) ENGINE = {{ engine }}(at) ORDER BY day
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

{% if cluster %}
CREATE TABLE IF NOT EXISTS touched{{ on_cluster }} AS touched{{ local }}
ENGINE = Distributed({{ cluster }}, currentDatabase(), touched{{ local }}, sipHash64(day));
{% endif %}

CREATE MATERIALIZED VIEW IF NOT EXISTS turns_to_touched{{ on_cluster }} TO touched AS
SELECT toDate32(start) AS day, toUnixTimestamp64Nano(now64(9)) AS at
FROM turns{{ local }} GROUP BY day;

CREATE MATERIALIZED VIEW IF NOT EXISTS events_to_touched{{ on_cluster }} TO touched AS
SELECT toDate32(time) AS day, toUnixTimestamp64Nano(now64(9)) AS at
FROM events{{ local }} GROUP BY day;

CREATE MATERIALIZED VIEW IF NOT EXISTS spans_to_touched{{ on_cluster }} TO touched AS
SELECT toDate32(start) AS day, toUnixTimestamp64Nano(now64(9)) AS at
FROM spans{{ local }} GROUP BY day;

INSERT INTO touched (day, at)
SELECT toDate32(start) AS day, toUnixTimestamp64Nano(now64(9)) FROM turns GROUP BY day
UNION ALL
SELECT toDate32(start) AS day, toUnixTimestamp64Nano(now64(9)) FROM spans GROUP BY day
UNION ALL
SELECT toDate32(time) AS day, toUnixTimestamp64Nano(now64(9)) FROM events GROUP BY day;

{% call table('rolled', version='covers', order='(day, generation)',
  shard='sipHash64(day)') %}
  day Date32,
  generation Int64,
  covers Int64
{% endcall %};

{% call table('parted_conversations', shard='sipHash64(tenant, hash)', order='(tenant, day, hash)') %}
  tenant LowCardinality(String),
  day Date32,
  hash UInt128 CODEC(NONE)
{% endcall %};

{% call table('conversation_days', granularity=1024, partition='toYYYYMM(day)', shard='sipHash64(tenant, conversation_id)',
  order='(tenant, day, generation, conversation_id, environment, agent, agent_version, variant, channel, user_type)') %}
  {{ of_day() }},
  conversation_id String CODEC(ZSTD),
  hash UInt128 CODEC(NONE),
  {{ dimensions() }},
  first Tuple(DateTime64(9, 'UTC'), FixedString(16), FixedString(8)) CODEC(ZSTD),
  started_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  turns_end DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  last_turn Int64 CODEC(Delta, ZSTD),
  handoff_turns UInt64,
  handoff_reasons Array(LowCardinality(String)),
  turns UInt64,
  turn_times Array(UInt64) CODEC(ZSTD),
  replies UInt64,
  errors UInt64,
  fallbacks UInt64,
  classified UInt64,
  own UInt64,
  platform LowCardinality(String),
  location LowCardinality(String),
  model LowCardinality(String),
  page String CODEC(ZSTD),
  referrer String CODEC(ZSTD),
  user_agent String CODEC(ZSTD),
  user_hash String CODEC(ZSTD),
  user String CODEC(ZSTD),
  last_intent LowCardinality(String),
  last_intent_at Tuple(DateTime64(9, 'UTC'), FixedString(16), FixedString(8)) CODEC(ZSTD),
  last_named Tuple(UInt64, String) CODEC(ZSTD),
  intents Array(LowCardinality(String)),
  path_times Array(UInt64) CODEC(ZSTD),
  path_intents Array(LowCardinality(String)),
  models Array(LowCardinality(String)),
  input_tokens Nullable(UInt64),
  output_tokens Nullable(UInt64),
  cache_read_tokens Nullable(UInt64),
  reasoning_tokens Nullable(UInt64),
  token_turns UInt64,
  priced_turns UInt64,
  unpriced_turns UInt64,
  confidences UInt64,
  confidence_sum Nullable(Int64),
  low_confidence UInt64,
  first_chunks UInt64,
  first_chunk_sum Nullable(Int64),
  cost Nullable(Decimal(38, 9)),
  duration_sum Nullable(Int64),
  events_end DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  ends UInt64,
  explicit_end Int64,
  handoff_events UInt64,
  positive UInt64,
  negative UInt64,
  actions UInt64,
  action_names Array(LowCardinality(String)),
  actions_at Array(Tuple(UInt64, LowCardinality(String))) CODEC(ZSTD),
  topics Array(LowCardinality(String)),
  leads Array(LowCardinality(String)),
  asked_for Array(LowCardinality(String)),
  moves Array(Tuple(Int64, UInt64, String, String)) CODEC(ZSTD),
  standing Tuple(Tuple(String, String), Array(Tuple(String, String))) CODEC(ZSTD),
  workflows_started Array(LowCardinality(String)),
  workflows_ended Array(LowCardinality(String)),
  user_messages UInt64,
  assistant_messages UInt64,
  system_messages UInt64,
  human_messages UInt64,
  end_reason LowCardinality(String),
  end_reason_at Tuple(DateTime64(9, 'UTC'), String) CODEC(ZSTD),
  scores UInt64,
  score_sum Nullable(Int64),
  top_scores UInt64,
  scored_values UInt64,
  scored_value_sum Nullable(Int64),
  scales Array(Tuple(Nullable(Float64), Nullable(Float64))),
  ratings UInt64,
  rating_sum Nullable(Int64),
  ending UInt8
{% endcall %};

{% call table('turn_days', partition='toYYYYMM(day)', shard='sipHash64(tenant, day)',
  order='(tenant, day, generation, environment, agent, agent_version, variant, channel, user_type, model, message_type, handoff, handoff_reason, bin)') %}
  {{ of_day() }},
  {{ dimensions() }},
  model LowCardinality(String),
  message_type LowCardinality(String),
  handoff Bool,
  handoff_reason LowCardinality(String),
  bin Int8,
  turns UInt64,
  duration_sum Nullable(Int64),
  confidence_n UInt64,
  confidence_sum Int64,
  low_confidence UInt64,
  errors UInt64,
  classified UInt64,
  fallbacks UInt64,
  token_turns UInt64,
  priced_turns UInt64,
  unpriced_turns UInt64,
  sum_input_tokens Nullable(UInt64),
  sum_output_tokens Nullable(UInt64),
  sum_cache_read_tokens Nullable(UInt64),
  sum_reasoning_tokens Nullable(UInt64),
  sum_cost Nullable(Decimal(38, 9)),
  first_chunks UInt64,
  spent_turns UInt64,
  spent Int256,
  spent_squares Int256,
  cost_squares Int256
{% endcall %};

{% call table('intent_days', partition='toYYYYMM(day)', shard='sipHash64(tenant, day)',
  order='(tenant, day, generation, environment, agent, agent_version, variant, channel, user_type, intent)') %}
  {{ of_day() }},
  {{ dimensions() }},
  intent LowCardinality(String),
  turns UInt64,
  duration_sum Nullable(Int64),
  low_confidence UInt64,
  classified UInt64,
  fallbacks UInt64,
  confidence_n UInt64,
  confidence_sum Int64,
  success UInt64
{% endcall %};

{% call table('turn_speeds', granularity=64, partition='toYYYYMM(day)', shard='sipHash64(tenant, day)',
  order='(tenant, day, generation, measure, slot, quarter, route_status)') %}
  {{ of_day() }},
  quarter UInt8,
  route_status LowCardinality(String),
  measure LowCardinality(String),
  slot UInt32,
  held UInt32,
  errors UInt32,
  cancelled UInt32,
  billionths Int64,
  seconds Array(Float64) CODEC(ZSTD)
{% endcall %};

{% call table('call_speeds', granularity=64, partition='toYYYYMM(day)', shard='sipHash64(tenant, day)',
  order='(tenant, day, generation, slot, quarter, kind, called)') %}
  {{ of_day() }},
  quarter UInt8,
  kind LowCardinality(String),
  called LowCardinality(String),
  slot UInt32,
  held UInt32,
  billionths Int64,
  seconds Array(Float64) CODEC(ZSTD),
  calls UInt32,
  failures UInt32,
  reasons Array(LowCardinality(String)),
  last_failed Int64
{% endcall %};

{% call table('quarter_hours', partition='toYYYYMM(day)', shard='sipHash64(tenant, day)',
  order='(tenant, day, generation, source, at)') %}
  {{ of_day() }},
  source LowCardinality(String),
  at DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  turns UInt64,
  replies UInt64,
  duration_sum Nullable(Int64),
  first_chunks UInt64,
  first_chunk_sum Nullable(Int64),
  confidences UInt64,
  confidence_sum Nullable(Int64),
  low_confidence UInt64,
  classified UInt64,
  fallbacks UInt64,
  handoff_turns UInt64,
  errors UInt64,
  input_tokens Nullable(UInt64),
  output_tokens Nullable(UInt64),
  cache_read_tokens Nullable(UInt64),
  reasoning_tokens Nullable(UInt64),
  token_turns UInt64,
  cost Nullable(Decimal(38, 9)),
  priced_turns UInt64,
  unpriced_turns UInt64,
  user_messages UInt64,
  assistant_messages UInt64,
  system_messages UInt64,
  human_messages UInt64,
  scores UInt64,
  score_sum Nullable(Int64),
  top_scores UInt64,
  scored_values UInt64,
  scored_value_sum Nullable(Int64),
  scales Array(Tuple(Nullable(Float64), Nullable(Float64)))
{% endcall %};

{% call table('failed_turns', partition='toYYYYMM(day)', shard='sipHash64(tenant, day)',
  order='(tenant, day, generation, start, trace_id, span_id)') %}
  {{ of_day() }},
  {{ dimensions() }},
  conversation_id String CODEC(ZSTD),
  error_type LowCardinality(String),
  start DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  trace_id FixedString(16),
  span_id FixedString(8)
{% endcall %};

{% call table('slow_turns', partition='toYYYYMM(day)', shard='sipHash64(tenant, day)',
  order='(tenant, day, generation, start, trace_id, span_id)') %}
  {{ of_day() }},
  conversation_id String CODEC(ZSTD),
  trace_id FixedString(16),
  span_id FixedString(8),
  agent LowCardinality(String),
  request_model LowCardinality(String),
  response_model LowCardinality(String),
  intent LowCardinality(String),
  start DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  end DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
  duration Float64,
  status LowCardinality(String)
{% endcall %};

{% call table('parted_days', like='conversation_days', partition='toYYYYMM(day)',
  shard='sipHash64(tenant, conversation_id)',
  order='(tenant, day, generation, conversation_id, environment, agent, agent_version, variant, channel, user_type)') %}
{% endcall %};
