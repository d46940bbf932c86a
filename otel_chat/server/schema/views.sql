{#- The views that fill the tables. Each is made anew, under another name, when its text changes:
    the new one is there before the old one goes, and what both write is the same row by key. -#}
{#- Rounded half even: as text has it, exactly. -#}
{%- macro rounded_money(key) -%}
if(toFloat64OrNull(given['{{ key }}']) >= 0 AND toFloat64OrNull(given['{{ key }}']) < 1e9,
  toDecimal64(roundBankers(toDecimal256OrNull(given['{{ key }}'], 40), 9), 9), NULL)
{%- endmacro -%}

{% call view('traces_in_to_spans_in', 'spans_in') %}
WITH {{ text_maps('span.attributes', 'part.resource.attributes') }} AS maps,
  maps[1] AS given, maps[2] AS resource
SELECT
  coalesce(nullIf(sender_tenant, ''), nullIf({{ text(n.TENANT) }}, ''),
    nullIf({{ text(n.TENANT, 'resource') }}, ''), 'default') AS tenant,
  resource,
  scoped.scope.name AS scope_name,
  toFixedString(span.trace_id, 16) AS trace_id,
  toFixedString(span.span_id, 8) AS span_id,
  span.parent_span_id AS parent_span_id,
  span.name AS name,
  span.kind AS kind_number,
  span.start_time_unix_nano AS start_ns,
  span.end_time_unix_nano AS end_ns,
  span.status.code AS status_number,
  span.status.message AS status_message,
  given,
  {{ text(n.TURN_ROOT) }} = 'true' AS own,
  false AS foreign,
  0 AS version,
  if(empty(span.events), '', {{ events_text('span.events') }}) AS events
FROM traces_in
ARRAY JOIN resource_spans AS part
ARRAY JOIN part.scope_spans AS scoped
ARRAY JOIN scoped.spans AS span
{% endcall %};

{% call view('spans_in_to_turns', 'turns') %}
SELECT
  tenant,
  {{ moment('start_ns') }} AS start,
  {{ moment('end_ns') }} AS end,
  {{ text(n.CONVERSATION_ID) }} AS conversation_id,
  trace_id,
  span_id,
  parent_span_id,
  foreign,
  {{ text('service.name', 'resource') }} AS service_name,
  {{ text('service.version', 'resource') }} AS service_version,
  {{ text('deployment.environment.name', 'resource') }} AS environment,
  {{ text('service.instance.id', 'resource') }} AS instance_id,
  {{ text(n.AGENT_NAME) }} AS agent,
  {{ text(n.AGENT_ID) }} AS agent_id,
  {{ text(n.AGENT_VERSION) }} AS agent_version,
  {{ text(n.VARIANT) }} AS variant,
  toUInt32OrNull({{ text(n.TURN_INDEX) }}) AS turn_index,
  (end_ns - start_ns) / 1e9 AS duration,
  {{ text(n.REQUEST_MODEL) }} AS request_model,
  {{ text(n.RESPONSE_MODEL) }} AS response_model,
  {{ text(n.PROVIDER_NAME) }} AS provider,
  {{ text(n.PROMPT_NAME) }} AS prompt,
  {{ text(n.PROMPT_VERSION) }} AS prompt_version,
  coalesce({{ tokens(n.USAGE_INPUT_TOKENS) }}, {{ tokens(n.GEN_AI_INPUT_TOKENS) }}) AS input_tokens,
  coalesce({{ tokens(n.USAGE_OUTPUT_TOKENS) }}, {{ tokens(n.GEN_AI_OUTPUT_TOKENS) }}) AS output_tokens,
  coalesce({{ tokens(n.USAGE_CACHE_READ_TOKENS) }}, {{ tokens(n.GEN_AI_CACHE_READ_TOKENS) }})
    AS cache_read_tokens,
  coalesce({{ tokens(n.USAGE_REASONING_TOKENS) }}, {{ tokens(n.GEN_AI_REASONING_TOKENS) }})
    AS reasoning_tokens,
  {{ rounded_money(n.COST_AMOUNT) }} AS cost,
  {{ text(n.COST_SOURCE) }} AS cost_source,
  {{ text(n.MESSAGE_TYPE) }} AS message_type,
  {{ tokens(n.CONTEXT_SIZE) }} AS context_size,
  {{ flag(n.CACHED) }} AS cached,
  {{ text(n.CHANNEL) }} AS channel,
  {{ text(n.PLATFORM) }} AS platform,
  {{ text(n.LOCATION) }} AS location,
  {{ text(n.USER_TYPE) }} AS user_type,
  {{ text(n.INTENT_NAME) }} AS intent,
  {{ ratio(n.CONFIDENCE) }} AS confidence,
  {{ flag(n.FALLBACK) }} AS fallback,
  {{ text(n.SENTIMENT) }} AS sentiment,
  ifNull({{ flag(n.HANDOFF_TRIGGERED) }}, false) AS handoff,
  {{ text(n.HANDOFF_REASON) }} AS handoff_reason,
  {{ text(n.HANDOFF_TARGET) }} AS handoff_target,
  {{ seconds(n.TIME_TO_FIRST_CHUNK) }} AS time_to_first_chunk,
  multiIf({{ text(n.STATUS) }} IN ('{{ n.STATUS_OK }}', '{{ n.STATUS_ERROR }}', '{{ n.STATUS_CANCELLED }}'),
    {{ text(n.STATUS) }}, status_number = 2, '{{ n.STATUS_ERROR }}', '{{ n.STATUS_OK }}') AS status,
  {{ text(n.ERROR_TYPE) }} AS error_type,
  {{ text(n.USER_HASH) }} AS user_hash,
  {{ text(n.HTTP_ROUTE) }} AS route,
  toUInt16OrNull({{ text(n.HTTP_STATUS_CODE) }}) AS http_status,
  {{ text(n.USER_AGENT) }} AS user_agent,
  {{ text(n.REFERRER) }} AS referrer,
  {{ text(n.PAGE) }} AS page,
  {{ text(n.METADATA) }} AS metadata,
  {{ text(n.INPUT_MESSAGES) }} AS input_messages,
  {{ text(n.OUTPUT_MESSAGES) }} AS output_messages,
  {{ without(turn_columns) }} AS attributes,
  if(version > 0, {{ text('otel_chat.server.price', 'resource') }}, '') AS price,
  version
FROM spans_in WHERE own OR foreign
{% endcall %};

{% call view('spans_in_to_spans', 'spans') %}
SELECT
  tenant,
  {{ moment('start_ns') }} AS start,
  {{ moment('end_ns') }} AS end,
  {{ text(n.CONVERSATION_ID) }} AS conversation_id,
  trace_id,
  span_id,
  parent_span_id,
  name,
  ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'][kind_number + 1] AS kind,
  ['unset', 'ok', 'error'][status_number + 1] AS status_code,
  status_message,
  {{ text('service.name', 'resource') }} AS service_name,
  {{ text('service.instance.id', 'resource') }} AS instance_id,
  scope_name,
  multiIf({{ text(n.OPERATION_NAME) }} != '', transform({{ text(n.OPERATION_NAME) }}, {{ d.OPERATIONS.keys() | list }},
      {{ d.OPERATIONS.values() | list }}, {{ text(n.OPERATION_NAME) }}),
    endsWith(name, '{{ d.PREPARATION }}'), '', transform(lower({{ first_text(d.SPAN_KINDS) }}), {{ d.OPERATIONS.keys() | list }},
      {{ d.OPERATIONS.values() | list }}, '')) AS operation,
  {{ text(n.AGENT_NAME) }} AS agent,
  {{ first_text(d.RESPONSE_MODELS + d.REQUEST_MODELS) }} AS model,
  {{ first_text(d.PROVIDERS) }} AS provider,
  {{ first_text(d.TOOLS) }} AS tool,
  {{ text(n.WORKFLOW_GEN_AI_NAME) }} AS workflow,
  {{ tokens(n.GEN_AI_INPUT_TOKENS) }} AS input_tokens,
  {{ tokens(n.GEN_AI_OUTPUT_TOKENS) }} AS output_tokens,
  if(status_number != 2 OR {{ text(n.ERROR_TYPE) }} != '', {{ text(n.ERROR_TYPE) }},
    extract(events, '"exception.type":"([^"]+)"')) AS error_type,
  given AS attributes,
  {{ text('service.version', 'resource') }} AS service_version,
  {{ text('deployment.environment.name', 'resource') }} AS environment,
  events
FROM spans_in WHERE NOT own AND NOT foreign
{% endcall %};

{% call view('logs_in_to_events_in', 'events_in') %}
WITH {{ text_maps('record.attributes', 'part.resource.attributes') }} AS maps,
  maps[1] AS given, maps[2] AS resource
SELECT
  coalesce(nullIf(sender_tenant, ''), nullIf({{ text(n.TENANT) }}, ''),
    nullIf({{ text(n.TENANT, 'resource') }}, ''), 'default') AS tenant,
  resource,
  if(record.time_unix_nano = 0, record.observed_time_unix_nano, record.time_unix_nano) AS time_ns,
  if(record.event_name != '', record.event_name, {{ text('event.name') }}) AS name,
  record.trace_id AS trace_id,
  record.span_id AS span_id,
  {{ scalar_text('record.body') }} AS body,
  given
FROM logs_in
ARRAY JOIN resource_logs AS part
ARRAY JOIN part.scope_logs AS scoped
ARRAY JOIN scoped.log_records AS record
WHERE name != ''
{% endcall %};

{% call view('events_in_to_events', 'events') %}
SELECT
  tenant,
  {{ moment('time_ns') }} AS time,
  name,
  if({{ text(n.EVENT_UID) }} != '', {{ text(n.EVENT_UID) }}, lower(hex(sipHash128Keyed((toUInt64(0), toUInt64(0)),
    tenant, time_ns, name, trace_id, span_id, body, mapKeys(given), mapValues(given)))))
    AS uid,
  {{ text(n.CONVERSATION_ID) }} AS conversation_id,
  trace_id,
  span_id,
  {{ text(n.AGENT_NAME) }} AS agent,
  {{ text(n.AGENT_VERSION) }} AS agent_version,
  {{ text(n.VARIANT) }} AS variant,
  {{ text(n.CHANNEL) }} AS channel,
  {{ text(n.PLATFORM) }} AS platform,
  {{ text(n.LOCATION) }} AS location,
  {{ text(n.USER_TYPE) }} AS user_type,
  {{ text(n.USER_HASH) }} AS user_hash,
  {{ text('service.name', 'resource') }} AS service_name,
  {{ text('service.version', 'resource') }} AS service_version,
  {{ text('deployment.environment.name', 'resource') }} AS environment,
  {{ text(n.INTENT_NAME) }} AS intent,
  {{ ratio(n.CONFIDENCE) }} AS confidence,
  {{ flag(n.FALLBACK) }} AS fallback,
  {{ flag(n.INTENT_SUCCESS) }} AS success,
  {{ text(n.SOURCE) }} AS source,
  {{ text(n.ENTITY_TYPE) }} AS entity_type,
  {{ text(n.ENTITY_VALUE) }} AS entity_value,
  {{ text(n.TOPIC_NAME) }} AS topic,
  {{ text(n.ACTION_TYPE) }} AS action,
  {{ text(n.WORKFLOW_NAME) }} AS workflow,
  {{ text(n.WORKFLOW_STEP) }} AS step,
  {{ text(n.API_NAME) }} AS api_name,
  {{ seconds(n.API_DURATION) }} AS duration,
  coalesce(nullIf({{ text(n.API_STATUS) }}, ''), {{ text(n.WORKFLOW_STATUS) }}) AS status,
  coalesce(nullIf({{ text(n.REASON) }}, ''), {{ text(n.HANDOFF_REASON) }}) AS reason,
  {{ text(n.HANDOFF_TARGET) }} AS target,
  {{ seconds(n.HANDOFF_WAIT) }} AS wait,
  {{ text(n.LEAD_KIND) }} AS lead_kind,
  {{ text(n.OUTCOME) }} AS outcome,
  {{ text(n.MESSAGE_SENDER) }} AS sender,
  {{ text(n.MESSAGE_TEXT) }} AS text,
  {{ text(n.EVALUATION_NAME) }} AS evaluation,
  {{ ratio(n.EVALUATION_SCORE) }} AS score,
  coalesce({{ number(n.FEEDBACK_VALUE) }},
    if(isNull({{ ratio(n.EVALUATION_SCORE) }}), {{ number(n.EVALUATION_SCORE) }}, NULL)) AS value,
  {{ number(n.FEEDBACK_SCALE_MIN) }} AS scale_min,
  {{ number(n.FEEDBACK_SCALE_MAX) }} AS scale_max,
  {{ text(n.EVALUATION_LABEL) }} AS label,
  {{ text(n.EVALUATION_EXPLANATION) }} AS comment,
  {{ text(n.EVENT_CUSTOM_NAME) }} AS event_name,
  if({{ text(n.DATA) }} != '', {{ text(n.DATA) }}, body) AS data,
  coalesce(nullIf({{ text(n.ERROR_TYPE) }}, ''), {{ text(n.EXCEPTION_TYPE) }}) AS error_type,
  {{ text(n.PAGE) }} AS page,
  {{ without(event_columns) }} AS attributes
FROM events_in
{% endcall %};

{% call view('turns_to_touched_keys', 'touched_keys') %}
SELECT if(max(start) >= now() - INTERVAL 2 DAY, 'recent', 'earlier') AS queue,
  tenant, conversation_id AS key, min(start) AS first, max(start) AS last, now64(9) AS at
FROM turns{{ local }} WHERE conversation_id != '' GROUP BY tenant, conversation_id
{% endcall %};

{% call view('events_to_touched_keys', 'touched_keys') %}
SELECT if(max(time) >= now() - INTERVAL 2 DAY, 'recent', 'earlier') AS queue,
  tenant, conversation_id AS key, min(time) AS first, max(time) AS last, now64(9) AS at
FROM events{{ local }} WHERE conversation_id != '' GROUP BY tenant, conversation_id
{% endcall %};

{# Log records that tell of a span may come after its trace was worked out. #}
{% call view('events_to_touched_traces', 'touched_keys') %}
SELECT 'trace' AS queue, tenant, lower(hex(trace_id)) AS key, min(time) AS first, max(time) AS last, now64(9) AS at
FROM events{{ local }} WHERE has({{ d.TELLING | list }}, toString(name)) AND trace_id != '' GROUP BY tenant, trace_id
{% endcall %};

{# Spans of our own are part of marked turns: to look for other turns around each would be most of the work. #}
{% call view('spans_to_touched_keys', 'touched_keys') %}
SELECT 'trace' AS queue, tenant, lower(hex(trace_id)) AS key, min(start) AS first, max(end) AS last, now64(9) AS at
FROM spans{{ local }} WHERE scope_name != 'otel_chat' GROUP BY tenant, trace_id
{% endcall %};
