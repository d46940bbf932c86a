{#- What scheduled exports wrote last of each day, by where to and kind. -#}
{% call table('export_files', version='version', order='(target, kind, day)', shard='sipHash64(target)') %}
  target String,
  kind LowCardinality(String),
  day Date32,
  fingerprint String,
  bytes UInt64,
  digest String,
  as_of String,
  written_at DateTime64(3, 'UTC'),
  version UInt64
{% endcall %};
