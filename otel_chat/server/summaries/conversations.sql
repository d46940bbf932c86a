{#- The rows of some conversations, worked out from all of their turns and events.

    All that is there of them lies between `first` and `last`. An id that has events and no turn yet has a row
    that is gone: it remembers when the events were, for a turn that comes later. One of which turns were
    erased for their age keeps its start, and is left as it is when none is there any more. The arrays hold the first {{ most }} turns or steps; all else is of every one.

    Where a gap is set, an id has a row for each episode: a turn begins one that starts after a longer silence,
    and an event is of the one that had begun. The first is 0, and any other known by its start. -#}
{%- set facts = ['environment', 'agent', 'agent_version', 'variant', 'channel', 'platform', 'location', 'user_type',
  'model', 'page', 'referrer', 'user_agent', 'user_hash'] -%}
{%- set combined = ['environment', 'agent', 'agent_version', 'variant', 'channel', 'model', 'intent', 'route', 'user_type',
  'prompt', 'prompt_version'] -%}
{%- set combination = '(' ~ combined | join(', ') | replace('model', rules.MODEL) ~ ')' -%}
{%- set of_all = "(tenant, conversation_id) IN " ~ keys ~ " AND conversation_id IN {ids:Array(String)}" -%}
{%- set of_keys = of_all ~ ('' if synthetic else ' AND NOT synthetic') -%}
{%- set of_turns = of_keys ~ ' AND start >= seen_first AND start <= seen_last' -%}
{%- set of_events = of_keys ~ ' AND time >= seen_first AND time <= seen_last' -%}
{%- set key = 'tenant, conversation_id' ~ (', episode' if gap else '') -%}
{%- set ends = "name = '" ~ n.EVENT_CONVERSATION_END ~ "'" -%}
{%- set action = "name = '" ~ n.EVENT_ACTION ~ "'" -%}
{%- set message = "name = '" ~ n.EVENT_MESSAGE ~ "'" -%}
{%- set rated = rules.IS_FEEDBACK ~ ' AND isNotNull(' ~ rules.SCORE ~ ')' -%}
{%- set annotated = rules.ANNOTATION ~ " AND intent != ''" -%}
{%- set steps = rules.WORKFLOW_EVENTS + (n.EVENT_ACTION, n.EVENT_TOPIC, n.EVENT_LEAD, n.EVENT_HANDOFF_REQUESTED) -%}
{%- macro among(names) -%}name IN ({% for name in names %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %}){%- endmacro -%}
{%- macro number(names, of) -%}indexOf([{% for name in names %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %}], toString({{ of }})){%- endmacro -%}
{#- Turns or events, with the episode that each is of. -#}
{%- macro rows(table, at, wanted) -%}
{%- if gap -%}
(
      SELECT x.*, begun.episode AS episode
      FROM (SELECT * FROM {{ table }} FINAL WHERE {{ wanted }}) AS x ASOF LEFT JOIN begun
        ON x.tenant = begun.tenant AND x.conversation_id = begun.conversation_id
          AND toUnixTimestamp64Nano(x.{{ at }}) >= begun.episode
    ) AS {{ table }}
{%- else -%}
{{ table }} FINAL
    WHERE {{ wanted }}
{%- endif -%}
{%- endmacro -%}
{%- macro billionths(value) -%}toInt128(accurateCastOrNull(round(({{ value }}) * 1000000000), 'Int64')){%- endmacro -%}
WITH
  fromUnixTimestamp64Nano({{ '{first:Int64}' }}, 'UTC') AS seen_first,
  fromUnixTimestamp64Nano({{ '{last:Int64}' }}, 'UTC') AS seen_last,
{%- if gap %}
  later AS (
    SELECT tenant, conversation_id, episode FROM conversations FINAL PREWHERE episode != 0
    WHERE {{ of_all }}
  ),
  {%- if split %}
  -- All that keeps an id from being silent, from when to when, and whether an episode may begin with it.
  -- Turns that were erased for their age are in what their row says, up to the first that is left.
  activity AS (
    SELECT tenant, conversation_id, begins, toUnixTimestamp64Nano(start) AS at,
      if(erased, least(toUnixTimestamp64Nano(end), greatest(at, minIf(toUnixTimestamp64Nano(start), begins AND NOT erased)
        OVER (PARTITION BY tenant, conversation_id))), toUnixTimestamp64Nano(end)) AS until
    FROM (
      SELECT tenant, conversation_id, true AS begins, false AS erased, start, end FROM turns FINAL WHERE {{ of_turns }}
      UNION ALL
      SELECT tenant, conversation_id, false, false, time, time FROM events FINAL
      WHERE {{ of_events }} AND {{ message }} AND sender IN ('user', 'assistant', 'human')
      UNION ALL
      SELECT tenant, conversation_id, true, true, started_at, last_activity_at FROM conversations FINAL
      WHERE {{ of_all }} AND turns_erased
    )
  ),
  -- The first keeps the number that it had before earlier ones were erased.
  begun AS (
    SELECT tenant, conversation_id, at AS episode
    FROM (
      SELECT tenant, conversation_id, begins, at,
        max(until) OVER former AS busy_until, countIf(begins) OVER former AS turns_before
      FROM activity
      WINDOW former AS (PARTITION BY tenant, conversation_id ORDER BY at, begins
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    )
    WHERE begins AND if(turns_before > 0, at > busy_until + {{ gap }}, (tenant, conversation_id, at) IN later)
  ),
  {%- else %}
  begun AS (SELECT * FROM later),
  {%- endif %}
{%- endif %}
  t AS (
    SELECT {{ key }},
      min(start) AS first_start, max(start) AS last_start, max(end) AS turns_end,
      -- 2: it failed, or was cut off before any reply; 1: it may not have helped; 0: it went well.
      argMax(multiIf(
        status = '{{ n.STATUS_ERROR }}' OR (status != '{{ n.STATUS_OK }}' AND NOT {{ rules.REPLIED }}), 2,
        ifNull(fallback, false) OR ifNull({{ low }}, false) OR sentiment = 'negative', 1,
        0), (start, trace_id, span_id)) AS last_turn,
      argMax(ifNull(fallback, false), (start, trace_id, span_id)) AS last_fallback,
      count() AS turns, countIf({{ rules.REPLIED }}) AS replies,
      countIf(status = '{{ n.STATUS_ERROR }}') AS errors,
      countIf(ifNull(fallback, false)) AS fallbacks,
      countIf({{ rules.CLASSIFIED }}) AS classified_turns,
      groupArrayIf(concat(trace_id, span_id), NOT {{ rules.CLASSIFIED }}) AS unclassified,
      countIf(handoff) AS handoff_turns, countIf(NOT foreign) AS own_turns,
      sum(toUInt128(input_tokens)) AS input_tokens,
      sum(toUInt128(output_tokens)) AS output_tokens,
      sum(toUInt128(cache_read_tokens)) AS cache_read_tokens,
      sum(toUInt128(reasoning_tokens)) AS reasoning_tokens,
      countIf({{ rules.TOKENS_KNOWN }}) AS token_turns,
      sum(cost) AS cost, count(cost) AS priced_turns,
      countIf({{ rules.UNPRICED }}) AS unpriced_turns,
      countIf({{ rules.ANSWERED }}) AS responses,
      sum({{ billionths(rules.RESPONSE_TIME) }}) AS response_sum,
      count(time_to_first_chunk) AS first_chunks,
      sum({{ billionths('time_to_first_chunk') }}) AS first_chunk_sum,
      count(confidence) AS confidences, sum({{ billionths('confidence') }}) AS confidence_sum,
      countIf({{ low }}) AS low_confidence,
      argMin(({% for name in facts %}{{ rules.MODEL if name == 'model' else name }}{{ ', ' if not loop.last }}{% endfor %}),
        (start, trace_id, span_id)) AS first,
      arraySort(groupUniqArrayIf(user_hash, user_hash != '')) AS users,
      groupUniqArrayIf(page, page != '') AS pages,
      arraySort(groupUniqArray({{ combination }})) AS combinations,
      groupUniqArrayIf(handoff_reason, handoff) AS handoff_reasons,
      groupArrayIf((concat(trace_id, ''), 0, toUnixTimestamp64Nano(start), 1), handoff) AS marked,
      groupArray((concat(trace_id, ''), 0, -toUnixTimestamp64Nano(start))) AS turn_keys,
      groupArray(({{ combination[1:-1] }}, toString(message_type), confidence)) AS turn_facts,
      argMaxIf(intent, (start, trace_id, span_id), intent != '') AS last_intent,
      argMaxIf(sentiment, (start, trace_id, span_id), sentiment != '') AS last_sentiment,
      arraySort(groupUniqArray(http_status)) AS http_statuses,
      groupArraySorted({{ most }})((toUnixTimestamp64Nano(start), trace_id, span_id, toString(intent),
        toString({{ rules.MODEL }}), duration, confidence)) AS in_order
    FROM {{ rows('turns', 'start', of_turns) }}
    GROUP BY {{ key }}
  ),
  e AS (
    SELECT {{ key }},
      min(time) AS events_from, max(time) AS events_to,
      maxIf(time, {{ message }} AND sender IN ('user', 'assistant', 'human')) AS messages_to,
      maxIf(time, {{ ends }}) AS ended_at,
      maxIf({{ number(rules.OUTCOMES, 'events.outcome') }} = 2, {{ ends }}) AS told_handed_off,
      argMaxIf({{ number(rules.OUTCOMES, 'events.outcome') }}, (time, uid),
        {{ ends }} AND {{ number(rules.OUTCOMES, 'events.outcome') }} > 0) AS explicit,
      argMaxIf(reason, (time, uid), {{ ends }}) AS end_reason,
      countIf({{ among(rules.HANDOFF_EVENTS) }}) AS handoff_events,
      groupArrayIf((trace_id, {{ number(rules.HANDOFF_EVENTS, 'name') }}, toUnixTimestamp64Nano(time),
        {{ number(rules.HANDOFF_EVENTS, 'name') }}), {{ among(rules.HANDOFF_EVENTS) }}) AS handoff_moves,
      argMaxIf(multiIf({{ rules.POSITIVE }}, 1, {{ rules.NEGATIVE }}, 2, 0), (time, uid), {{ rated }}) AS last_rating,
      countIf({{ rules.IS_FEEDBACK }} AND {{ rules.POSITIVE }}) AS positive,
      countIf({{ rules.IS_FEEDBACK }} AND {{ rules.NEGATIVE }}) AS negative,
      countIf({{ action }}) AS actions,
      arraySort(groupUniqArrayIf(action, {{ action }} AND action != '')) AS action_names,
      {%- for sender in n.SENDERS %}
      countIf({{ message }} AND sender = '{{ sender }}') AS {{ sender }}_messages,
      {%- endfor %}
      countIf({{ rated }}) AS scores,
      sumIf({{ billionths(rules.SCORE) }}, {{ rated }}) AS score_sum,
      countIf({{ rules.IS_FEEDBACK }} AND isNotNull(value)) AS rated,
      sumIf({{ billionths('value') }}, {{ rules.IS_FEEDBACK }}) AS rating_sum,
      groupUniqArrayIf(page, page != '') AS event_pages,
      arraySort(groupUniqArrayIf(intent, {{ annotated }})) AS annotated_intents,
      argMaxIf(intent, (time, uid), {{ annotated }}) AS last_annotated_intent,
      groupUniqArrayIf(concat(trace_id, span_id), {{ rules.ANNOTATION }}) AS annotated,
      groupUniqArrayIf(reason, name = '{{ n.EVENT_HANDOFF_REQUESTED }}') AS asked_for,
      arraySort(groupArrayIf(topic, name = '{{ n.EVENT_TOPIC }}' AND topic != '')) AS topics,
      arraySort(groupUniqArrayIf(entity_type, name = '{{ n.EVENT_ENTITY }}' AND entity_type != '')) AS entities,
      arraySort(groupArrayIf(lead_kind, name = '{{ n.EVENT_LEAD }}')) AS leads,
      groupArrayIf((toUnixTimestamp64Nano(time), uid, toString(evaluation), value, scale_min, scale_max,
        {{ rules.SCORE }}), name = '{{ n.EVENT_EVALUATION }}') AS evaluations,
      groupArrayIf((trace_id, 1, toUnixTimestamp64Nano(time)), name = '{{ n.EVENT_EVALUATION }}') AS evaluation_keys,
      arraySort(groupArrayIf((toUnixTimestamp64Nano(time), {{ number(rules.WORKFLOW_EVENTS, 'name') }},
        toString(workflow), toString(step)), {{ among(rules.WORKFLOW_EVENTS) }} AND workflow != '')) AS moves,
      groupArraySortedIf({{ most }})((toUnixTimestamp64Nano(time), uid, splitByChar('.', toString(name))[-1],
        multiIf({{ action }}, toString(action), name = '{{ n.EVENT_TOPIC }}', toString(topic),
          name = '{{ n.EVENT_LEAD }}', toString(lead_kind), name = '{{ n.EVENT_HANDOFF_REQUESTED }}', toString(reason),
          toString(workflow)), toString(step)), {{ among(steps) }}) AS steps
    FROM {{ rows('events', 'time', of_events) }}
    GROUP BY {{ key }}
  ),
  former AS (
    SELECT {{ key }}, min(started_at) AS former_start
    FROM conversations FINAL WHERE {{ of_all }} AND turns_erased AND NOT gone
    GROUP BY {{ key }}
  ),
  worked_out AS (
    SELECT *, former_start > toDateTime64(0, 9, 'UTC') AS turns_erased,
      if(turns_erased, least(first_start, former_start), first_start) AS started_at,
      explicit > 0 AS told,
      classified_turns + length(arrayIntersect(unclassified, annotated)) AS classified,
      handoff_turns + handoff_events > 0 OR told_handed_off AS with_human,
      -- In order of their traces each request and each evaluation is behind the turn that it belongs to:
      -- a lambda that looked for it in all turns would be given a copy of all of them each time.
      arraySort(arrayConcat(marked, handoff_moves)) AS of_handoffs,
      arraySort(arrayZip(
        arrayConcat(turn_keys, evaluation_keys),
        arrayResize(turn_facts, length(turn_facts) + length(evaluations)),
        arrayConcat(arrayResize(arraySlice(evaluations, 1, 0), length(turn_facts)), evaluations))) AS of_ratings,
      arrayFilter(x -> x.1.1 > 0, arraySort(arrayMap(
        (x, turn) -> (x.3, turn.1.2 = 0 AND turn.1.1 = x.1.1, if(turn.1.2 = 0 AND turn.1.1 = x.1.1, turn.2, x.2)),
        of_ratings, arrayFill(x -> x.1.2 = 0, of_ratings)))) AS rated_in_order,
      -- A request inside a marked turn is that turn's; what is accepted or ended was asked for, unless
      -- none waits. The state: how many, how many of them wait, how many were accepted and go on.
      arrayFold((s, x) -> multiIf(
          x.2 = 1, (s.1 + 1, s.2 + 1, s.3),
          x.2 = 2, if(s.2 > 0, (s.1, s.2 - 1, s.3 + 1), (s.1 + 1, s.2, s.3 + 1)),
          s.3 > 0, (s.1, s.2, s.3 - 1),
          s.2 > 0, (s.1, s.2 - 1, s.3),
          (s.1 + 1, s.2, s.3)),
        arraySort(arrayMap(x -> (x.3, x.4), arrayFilter(
          (x, turn) -> NOT (x.2 = 1 AND turn.2 = 0 AND turn.1 = x.1),
          of_handoffs, arrayFill(x -> x.2 = 0, of_handoffs)))),
        (toInt64(0), toInt64(0), toInt64(0))).1 AS handoffs,
      arrayMap(w -> (w, arrayFilter(x -> x.3 = w, moves)), arrayDistinct(arrayMap(x -> x.3, moves))) AS runs,
      -- When it moved last, its name, the last step of its last run, how often it is open, how it ended last.
      arrayMap(run -> (
        run.2[-1].1, run.1,
        arrayLast(x -> x.4 != '', arraySlice(run.2, greatest(arrayLastIndex(x -> x.2 = 1, run.2), 1))).4,
        arrayFold((open, x) -> if(x.2 = 1, open + 1, greatest(open - 1, 0)), run.2, toInt64(0)),
        run.2[-1].2
      ), runs) AS workflows,
      arrayExists(x -> x.4 > 0, workflows) AS left_open,
      arraySort(arrayFilter(x -> x.4 > 0 OR x.5 = 2, workflows))[-1] AS left_at,
      multiIf(told, explicit, with_human, 2, last_turn = 2, 4, last_rating = 1, 1, last_rating = 2, 3,
        last_turn = 1 OR left_open, 3, 1) AS number
    FROM t FULL JOIN e USING ({{ key }}) LEFT JOIN former USING ({{ key }})
  )
SELECT tenant, toDate32(if(turns = 0, events_from, started_at)) AS day, conversation_id, {{ '' if gap else 'toInt64(0) AS ' }}episode,
  {{ '{version:UInt64}' }} AS version, turns = 0 AS gone,
  multiIf(events_from = 0, first_start, turns = 0, events_from, least(first_start, events_from)) AS seen_from,
  greatest(last_start, events_to) AS seen_to,
  started_at, turns_erased,
  if(turns = 0, events_to, greatest(turns_end, messages_to)) AS last_activity_at,
  ended_at > toDateTime64(0, 9, 'UTC') AND ended_at >= greatest(last_start, messages_to) AS ended,
  CAST(number, {{ rules.OUTCOME_TYPE }}) AS outcome,
  number = 1 AND (told OR last_rating = 1) AS confirmed,
  with_human AS handed_off, handoffs, left_open AS unfinished, last_turn, last_fallback,
  turns, replies, errors, fallbacks, classified, handoff_turns, handoff_events, own_turns,
  positive, negative, actions, user_messages, assistant_messages, system_messages, human_messages,
  input_tokens, output_tokens, cache_read_tokens, reasoning_tokens, token_turns,
  cost, priced_turns, unpriced_turns, responses, response_sum, first_chunks, first_chunk_sum,
  confidences, confidence_sum, low_confidence, scores, score_sum, rated, rating_sum,
  {% for name in facts -%}
  first.{{ loop.index }} AS {{ name }},
  {%- endfor %}
  users,
  arraySort(arrayDistinct(arrayConcat(pages, event_pages))) AS pages,
  CAST(combinations, 'Array(Tuple({{ combined | join(' LowCardinality(String), ') }} LowCardinality(String)))') AS combinations,
  arrayMap(x -> (x.1.1, x.1.3, x.1.4, x.1.5, x.1.6, x.1.7, x.2, {% for nth in range(combined | length + 2) -%}
    x.3.{{ nth + 1 }}{{ ', ' if not loop.last }}{% endfor %}), rated_in_order) AS ratings,
  arraySort(arrayDistinct(arrayConcat(handoff_reasons, asked_for))) AS handoff_reasons,
  topics, leads, action_names, annotated_intents, last_annotated_intent, last_intent, last_sentiment, entities,
  CAST(http_statuses, 'Array(UInt16)') AS statuses, end_reason,
  turns > {{ most }} OR length(steps) = {{ most }} AS capped,
  in_order.1 AS turn_at, in_order.4 AS turn_intent, in_order.5 AS turn_model,
  in_order.6 AS turn_seconds, in_order.7 AS turn_confidence,
  steps.1 AS step_at, steps.3 AS step_kind, steps.4 AS step_name, steps.5 AS step_place,
  (left_at.2, left_at.3) AS stood,
  arrayDistinct(arrayConcat(arrayMap(run -> (run.1, ''), runs), arrayMap(x -> (x.3, x.4), moves))) AS places
FROM worked_out WHERE turns > 0 OR NOT turns_erased
SETTINGS prefer_column_name_to_alias = 1
