{# Turns that the settler works out are replaced by later ones of the same key, or taken back; what
   came in a body has version 0, so that it undoes nothing when it comes again. Who sends to an older
   server meanwhile is refused, and sends again. #}
{% for view in ['traces_in_to_spans_in', 'spans_in_to_turns', 'spans_in_to_spans', 'logs_in_to_events_in',
  'events_in_to_events'] -%}
DROP VIEW IF EXISTS {{ view }}{{ on_cluster }};
{% endfor -%}
DROP TABLE IF EXISTS traces_in{{ on_cluster }};
DROP TABLE IF EXISTS spans_in{{ on_cluster }};

CREATE TABLE IF NOT EXISTS traces_in{{ on_cluster }} (
  sender_tenant String,
  resource_spans Array(Tuple(
    resource Tuple(attributes {{ attributes() }}),
    scope_spans Array(Tuple(
      scope Tuple(name String),
      spans Array(Tuple(trace_id String, span_id String, parent_span_id String, name String,
        kind Int32, start_time_unix_nano UInt64, end_time_unix_nano UInt64,
        attributes {{ attributes() }},
        events Array(Tuple(time_unix_nano UInt64, name String, attributes {{ attributes() }})),
        status Tuple(message String, code Int32)))))))
) ENGINE = Null;

CREATE TABLE IF NOT EXISTS spans_in{{ on_cluster }} (
  tenant String,
  resource Map(String, String),
  scope_name String,
  trace_id FixedString(16),
  span_id FixedString(8),
  parent_span_id String,
  name String,
  kind_number Int32,
  start_ns UInt64,
  end_ns UInt64,
  status_number Int32,
  status_message String,
  given Map(String, String),
  own Bool,
  foreign Bool,
  version UInt64,
  events String
) ENGINE = Null;

{% for name in (['turns' ~ local, 'turns'] if cluster else ['turns']) -%}
ALTER TABLE {{ name }}{{ on_cluster }} ADD COLUMN IF NOT EXISTS version UInt64, ADD COLUMN IF NOT EXISTS gone UInt8,
  ADD COLUMN IF NOT EXISTS price LowCardinality(String) CODEC(ZSTD),
  ADD COLUMN IF NOT EXISTS prompt LowCardinality(String), ADD COLUMN IF NOT EXISTS prompt_version LowCardinality(String);
{% endfor -%}
{% for name in (['spans' ~ local, 'spans'] if cluster else ['spans']) -%}
ALTER TABLE {{ name }}{{ on_cluster }} ADD COLUMN IF NOT EXISTS service_version LowCardinality(String),
  ADD COLUMN IF NOT EXISTS environment LowCardinality(String), ADD COLUMN IF NOT EXISTS events String CODEC(ZSTD);
{% endfor -%}

{# Begun anew from here, should it be broken off: what is dropped first is then a copy, or the former table. #}
DROP TABLE IF EXISTS turns_next{{ local }}{{ on_cluster }} SYNC;
CREATE TABLE IF NOT EXISTS turns_next{{ local }}{{ on_cluster }} AS turns{{ local }}
ENGINE = {{ engine }}(version, gone) PARTITION BY toYYYYMM(start)
ORDER BY (tenant, toStartOfHour(start), conversation_id, trace_id, span_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1;
ALTER TABLE turns_next{{ local }}{{ on_cluster }} ATTACH PARTITION ALL FROM turns{{ local }};
EXCHANGE TABLES turns{{ local }} AND turns_next{{ local }}{{ on_cluster }};
DROP TABLE IF EXISTS turns_next{{ local }}{{ on_cluster }} SYNC;

{# Spans of agents and models that are part of no turn, by the reason. #}
{% call table('unclaimed_spans', version='version, gone', partition='toYYYYMM(start)', shard='sipHash64(tenant, trace_id)',
  order='(tenant, start, trace_id, reason, scope)') %}
  tenant LowCardinality(String),
  start DateTime64(9, 'UTC'),
  trace_id FixedString(16),
  reason LowCardinality(String),
  scope LowCardinality(String),
  spans UInt64,
  version UInt64,
  gone UInt8
{% endcall %};
